"""What is used of PyTorch Geometric beyond its documented interface is there, and means what we take it for."""

import pytest
import torch

from tests.seen import check_seen
from vig_pyg import MaxRelativeConv
from vig_pyg.graph.pyg_internals import SEEN, messages_are_watched, sorted_edge_index


def test_this_version_of_pyg_was_looked_at():
    check_seen("torch_geometric", SEEN, "vig_pyg/graph/pyg_internals.py")


def test_edges_bring_their_pointers():
    ptr = torch.tensor([0, 2, 2, 3])
    edges = sorted_edge_index(torch.tensor([[3, 0, 1], [0, 0, 2]]), (4, 3), ptr, 2)
    (found, index), order = edges.validate().get_csc()
    assert found is ptr and index.tolist() == [3, 0, 1] and order is None
    assert edges.sparse_size() == (4, 3) and edges.is_sorted_by_col and edges.max_degree == 2


@pytest.mark.parametrize(
    "kind", ["message_forward_pre_hook", "message_forward_hook", "aggregate_forward_pre_hook", "aggregate_forward_hook"]
)
def test_hooks_on_messages_are_noticed(kind):
    conv = MaxRelativeConv(4, 4)
    assert not messages_are_watched(conv)
    handle = getattr(conv, f"register_{kind}")(lambda *_: None)
    assert messages_are_watched(conv)
    handle.remove()
    assert not messages_are_watched(conv)
