"""The operator beside its formula on a regular graph; test_operators.py has its definition, edge by edge."""

import torch

from tests.conv.passed import graph
from vig_pyg.conv.max_relative import MaxRelativeConv


def test_it_maps_every_node_interleaved_with_its_largest_difference():
    x, edges = graph(k=5)
    conv = MaxRelativeConv(8, 12, heads=4, act="gelu").eval()
    neighbors = edges.as_tensor()[0].view(40, 5)
    largest = (x[neighbors] - x[:, None]).amax(1)
    expected = conv.nn(torch.stack([x, largest], dim=2).flatten(1))
    torch.testing.assert_close(conv(x, edges), expected)


def test_a_node_without_neighbors_has_no_difference():
    x, _ = graph()
    conv = MaxRelativeConv(8, 12, act="gelu").eval()
    alone = conv(x, torch.empty(2, 0, dtype=torch.long))
    torch.testing.assert_close(alone, conv.nn(torch.stack([x, torch.zeros_like(x)], dim=2).flatten(1)))
