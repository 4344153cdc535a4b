"""Average-pooled nodes, among which early stages of a pyramid look for neighbors."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vig_pyg.graph.layout import Grid, NodeLayout


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


def pooled_layout(layout: NodeLayout, size: int) -> NodeLayout:
    """Return the layout of the nodes that windows of ``size × size`` nodes are averaged into."""
    if size == 1:
        return layout
    return NodeLayout(tuple(Grid(g.count, -(-g.height // size), -(-g.width // size)) for g in layout.grids))


def windows(layout: NodeLayout, size: int, device: torch.device) -> Tensor:
    """Return the pooled node that every node is averaged into, ``[N]``."""
    found, first = [], 0
    for grid, pooled in zip(layout.grids, pooled_layout(layout, size).grids, strict=True):
        row = torch.arange(grid.height, device=device).view(-1, 1) // size
        column = torch.arange(grid.width, device=device) // size
        image = torch.arange(grid.count, device=device).view(-1, 1, 1)
        found.append((first + image * pooled.nodes + row * pooled.width + column).flatten())
        first += pooled.count * pooled.nodes
    return torch.cat(found)
