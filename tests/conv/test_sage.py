"""The operator beside its formula on a regular graph; test_operators.py has its definition, edge by edge."""

import pytest
import torch

from tests.conv.passed import graph
from vig_pyg.conv.sage import SAGEConv


@pytest.mark.parametrize("norm", ["batch", "layer", None])
@pytest.mark.parametrize("training", [False, True])
def test_it_maps_every_node_beside_the_maximum_of_its_mapped_neighbors(norm, training):
    x, edges = graph(k=5)
    x = x.double()
    conv, reference = (SAGEConv(8, 12, heads=2, norm=norm, act="gelu").double().train(training) for _ in range(2))
    reference.load_state_dict(conv.state_dict())
    sent = reference.nn1(x[edges.as_tensor()[0]])  # a message an edge: batch statistics are those of edges
    expected = reference.nn2(torch.cat([x, sent.view(40, 5, 8).amax(1)], dim=1))
    torch.testing.assert_close(conv(x, edges), expected)
    torch.testing.assert_close(conv.state_dict(), reference.state_dict())
