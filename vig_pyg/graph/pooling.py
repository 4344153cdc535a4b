"""Average-pooled nodes, among which early stages of a pyramid look for neighbors.

On a grid they are windows of nodes, elsewhere the nodes within cubes of as many spacings.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.utils import scatter

from vig_pyg.graph.layout import Grid, NodeLayout
from vig_pyg.graph.points import Layout, PointLayout


def average_pool(maps: Tensor, size: int) -> Tensor:
    """Average windows of ``size × size`` nodes; a window over the border averages the nodes it covers.

    Shapes:
        - maps: ``[B, H, W, C]``
        - output: ``[B, ⌈H/size⌉, ⌈W/size⌉, C]``
    """
    if size == 1:
        return maps
    pooled = F.avg_pool2d(maps.permute(0, 3, 1, 2), size, ceil_mode=True, count_include_pad=False)
    return pooled.permute(0, 2, 3, 1)


def pooled_nodes(x: Tensor, layout: Layout, size: int) -> Tensor:
    """Return the averages of the nodes in windows of ``size``, ``[M, C]``."""
    if isinstance(layout, PointLayout):
        cluster, pooled = layout.voxels(size)
        return scatter(x, cluster, dim_size=pooled.num_nodes, reduce="mean")
    return NodeLayout.join([average_pool(m, size) for m in layout.maps(x)])[0]


def pooled_layout(layout: Layout, size: int) -> Layout:
    """Return the layout of the nodes that windows of ``size × size`` nodes are averaged into."""
    if size == 1:
        return layout
    if isinstance(layout, PointLayout):
        return layout.voxels(size)[1]
    return NodeLayout(_pooled_grids(layout, size))


def windows(layout: Layout, size: int, device: torch.device) -> Tensor:
    """Return the pooled node that every node is averaged into, ``[N]``."""
    if isinstance(layout, PointLayout):
        return layout.voxels(size)[0]
    found, first = [], 0
    for grid, pooled in zip(layout.grids, _pooled_grids(layout, size), strict=True):
        row = torch.arange(grid.height, device=device).view(-1, 1) // size
        column = torch.arange(grid.width, device=device) // size
        image = torch.arange(grid.count, device=device).view(-1, 1, 1)
        found.append((first + image * pooled.nodes + row * pooled.width + column).flatten())
        first += pooled.count * pooled.nodes
    return torch.cat(found)


def _pooled_grids(layout: NodeLayout, size: int) -> tuple[Grid, ...]:
    return tuple(Grid(g.count, -(-g.height // size), -(-g.width // size)) for g in layout.grids)
