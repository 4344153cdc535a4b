"""What depends on sizes alone is made once, and kept for the last few."""

import copy
import pickle

import torch

from vig_pyg.graph.recent import Recent

X = torch.zeros(1)


def test_it_is_made_once_and_the_oldest_is_left_out():
    recent, made = Recent(2), []
    for key in (1, 2, 1, 3, 1, 2):
        recent.get(key, X, lambda key=key: made.append(key) or key)
    assert made == [1, 2, 3, 1, 2]


def test_copies_and_files_do_without_it():
    recent = Recent(3)
    recent.get(1, X, lambda: 1)
    for other in (copy.deepcopy(recent), pickle.loads(pickle.dumps(recent))):
        assert other.most == 3 and not other.made


def test_nothing_is_kept_of_tensors_that_only_trace():
    recent = Recent(3)
    recent.get(1, X.as_subclass(torch.nn.Parameter), lambda: 1)
    assert not recent.made
