"""The options that several commands take."""

import pytest
import torch

from vig_pyg.commands.options import asked, assignments, usable_device


def test_a_device_that_cannot_compute_here_is_refused():
    assert usable_device("cpu") == "cpu"
    assert usable_device(None) == ("cuda" if torch.cuda.is_available() else "cpu")
    for device in ("abacus", "meta", f"cuda:{torch.cuda.device_count()}"):
        with pytest.raises(ValueError, match=device.partition(":")[0]):
            usable_device(device)


def test_what_is_not_given_is_left_out():
    assert asked(conv="gin", graph=None, k=0) == {"conv": "gin", "k": 0}
    assert assignments(conv="gin", graph=None, k=0) == ["conv=gin", "k=0"]
