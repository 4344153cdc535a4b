"""Pooled nodes are the averages of their windows, also over the border."""

import pytest
import torch

from vig_pyg.graph import NodeLayout
from vig_pyg.graph.pooling import average_pool, pooled_layout, windows


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_pooled_node_is_the_average_of_the_nodes_whose_window_it_is(size):
    layout = NodeLayout.from_sizes([(4, 6), (4, 6), (5, 3)])
    x = torch.randn(layout.num_nodes, 3, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    pooled, own = NodeLayout.join([average_pool(m, size) for m in layout.maps(x)])
    window = windows(layout, size, x.device)
    assert own == pooled_layout(layout, size) and window.bincount().numel() == own.num_nodes
    for node in range(own.num_nodes):
        torch.testing.assert_close(pooled[node], x[window == node].mean(0))
    assert torch.equal(own.batch()[window], layout.batch())
