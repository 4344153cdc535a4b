"""A block is its parts in a row, and downsampling is a convolution on maps."""

import pytest
import torch

import vig_pyg
from vig_pyg.blocks import FFN, Grapher
from vig_pyg.blocks.block import Block, Downsample
from vig_pyg.graph import KNNGraph, NodeLayout

LAYOUT = NodeLayout.uniform(2, 6, 4)


def nodes(channels: int) -> torch.Tensor:
    return torch.randn(48, channels, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("given", [False, True])
def test_a_block_is_a_grapher_then_an_ffn(given):
    block = Block(Grapher(8, KNNGraph(3)), FFN(8, 32)).eval()
    x, edges = nodes(8), vig_pyg.knn_graph(nodes(2), 5, LAYOUT.batch()) if given else None
    between, used = block.grapher(x, LAYOUT, edges)
    out, layout, returned = block(x, LAYOUT, edges)
    assert torch.equal(out, block.ffn(between, LAYOUT)) and layout is LAYOUT
    assert torch.equal(returned.as_tensor(), used.as_tensor()) and (returned is edges or not given)
    block.ffn = None
    assert torch.equal(block(x, LAYOUT, edges)[0], between)


def test_downsampling_is_a_convolution_of_stride_2_and_a_norm():
    layer = Downsample(8, 12).eval()
    maps = nodes(8).view(2, 6, 4, 8).permute(0, 3, 1, 2)
    expected = torch.nn.functional.conv2d(maps, layer.conv.weight, layer.conv.bias, stride=2, padding=1)
    out, layout, edges = layer(nodes(8), LAYOUT)
    torch.testing.assert_close(out, layer.norm(expected.permute(0, 2, 3, 1).flatten(0, 2)))
    assert layout == NodeLayout.uniform(2, 3, 2) and edges is None
