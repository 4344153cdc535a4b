"""Graphs to compare those in feature space with: they do not look at the image."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.typing import PairTensor

from vig_pyg.graph import Grid, NodeLayout, edges_from_neighbours

NEIGHBOURS = 9

Layouts = NodeLayout | tuple[NodeLayout, NodeLayout]


def grid_graph(x: Tensor | PairTensor, layout: Layouts) -> EdgeIndex:
    """Link every node to the 9 that lie nearest in the image, itself among them: the grid of a CNN.

    Raises:
        ValueError: ``x`` and ``layout`` are pairs, as where neighbours are pooled.
    """
    return _made(x, layout, _nearest_places)


def random_graph(x: Tensor | PairTensor, layout: Layouts) -> EdgeIndex:
    """Link every node to itself and 8 random others, the same ones in all images and blocks.

    Raises:
        ValueError: ``x`` and ``layout`` are pairs, as where neighbours are pooled.
    """
    return _made(x, layout, _random_places)


GRAPHS = {"grid": grid_graph, "random": random_graph}


def _made(x: Tensor | PairTensor, layout: Layouts, places: Callable[[Grid], Tensor]) -> EdgeIndex:
    if isinstance(x, tuple) or isinstance(layout, tuple):
        raise ValueError(
            "the grid and the random graph link nodes to themselves, which a model that pools neighbours cannot do: "
            "take one that does not, such as vig_micro"
        )
    with torch.device("cpu"):  # the edges are kept: none of the device meta, where costs are counted
        edges = _repeated(layout, places)
    return edges.to(x.device)


@lru_cache(maxsize=8)
def _repeated(layout: NodeLayout, places: Callable[[Grid], Tensor]) -> EdgeIndex:
    """Return the edges of all images; ``places`` gives the neighbours ``[nodes, 9]`` in one of a size."""
    found, start = [], 0
    for grid in layout.grids:
        first = start + grid.nodes * torch.arange(grid.count)
        found.append((places(grid) + first.view(-1, 1, 1)).flatten(0, 1))
        start += grid.count * grid.nodes
    return edges_from_neighbours(torch.cat(found), layout.num_nodes)


def _nearest_places(grid: Grid) -> Tensor:
    pos = NodeLayout.uniform(1, grid.height, grid.width).pos()
    return torch.cdist(pos, pos).argsort(stable=True)[:, :NEIGHBOURS]


def _random_places(grid: Grid) -> Tensor:
    order = torch.rand(grid.nodes, grid.nodes, generator=torch.Generator().manual_seed(0))
    return order.fill_diagonal_(-1).argsort()[:, :NEIGHBOURS]
