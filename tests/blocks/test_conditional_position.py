"""A conditional position is a depthwise convolution beside the nodes."""

import copy

import pytest
import torch
import torch.nn.functional as F

from vig_pyg.blocks import ConditionalPosition
from vig_pyg.graph.layout import NodeLayout, maps_of, nodes_of
from vig_pyg.graph.points import PointLayout

LAYOUT = NodeLayout.from_sizes([(5, 4), (9, 8)])


@pytest.mark.parametrize("kernel", [3, 7])
def test_it_adds_what_is_around_to_every_node(kernel):
    torch.manual_seed(0)
    layer = ConditionalPosition(6, kernel).double()
    x, conv = torch.randn(LAYOUT.num_nodes, 6, dtype=torch.float64), layer.conv.conv
    maps = [m + F.conv2d(m, conv.weight, conv.bias, padding=kernel // 2, groups=6) for m in maps_of(x, LAYOUT)]
    torch.testing.assert_close(layer(x, LAYOUT), nodes_of(maps)[0])
    folded = copy.deepcopy(layer)
    folded.reparameterize()
    folded.reparameterize()  # once is enough
    assert not folded.residual
    torch.testing.assert_close(folded(x, LAYOUT), layer(x, LAYOUT))


def test_it_needs_a_grid_and_an_odd_window():
    with pytest.raises(TypeError, match="a conditional position is a convolution of a grid, and these nodes have none"):
        ConditionalPosition(6)(torch.randn(4, 6), PointLayout(num_nodes=4))
    with pytest.raises(ValueError, match="the window around a node has an odd side, got kernel=4"):
        ConditionalPosition(6, 4)
