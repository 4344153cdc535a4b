"""How nodes lie in images: which image, which row, which column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """``count`` consecutive images, each a grid of ``height × width`` nodes."""

    count: int
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(count, height, width)``."""
        return self.count, self.height, self.width

    @property
    def nodes(self) -> int:
        """Nodes of one image."""
        return self.height * self.width


@dataclass(frozen=True)
class NodeLayout:
    """Says how the rows of a node matrix ``x [N, C]`` are laid out: image by image, row by row.

    A batch of equally large images is one :class:`Grid`; images of different sizes are several, in their order.
    Everything else (``batch``, ``ptr``, ``pos``) follows from it.
    """

    grids: tuple[Grid, ...]

    @staticmethod
    def uniform(count: int, height: int, width: int) -> NodeLayout:
        """Return the layout of ``count`` images of one size."""
        return NodeLayout((Grid(count, height, width),))

    @staticmethod
    def from_sizes(sizes: Sequence[Sequence[int]]) -> NodeLayout:
        """Return the layout of images of the given ``(height, width)``; equal neighbours share a grid."""
        grids: list[Grid] = []
        for height, width in sizes:
            if grids and (grids[-1].height, grids[-1].width) == (height, width):
                grids[-1] = Grid(grids[-1].count + 1, height, width)
            else:
                grids.append(Grid(1, height, width))
        return NodeLayout(tuple(grids))

    @staticmethod
    def join(maps: Sequence[Tensor]) -> tuple[Tensor, NodeLayout]:
        """Return maps ``[count, height, width, C]`` as one node matrix and its layout."""
        layout = NodeLayout(tuple(Grid(*m.shape[:3]) for m in maps))
        nodes = [m.reshape(-1, m.size(-1)) for m in maps]
        return nodes[0] if len(nodes) == 1 else torch.cat(nodes), layout

    @property
    def num_graphs(self) -> int:
        """Images in the batch."""
        return sum(grid.count for grid in self.grids)

    @property
    def num_nodes(self) -> int:
        """Rows of the node matrix."""
        return sum(grid.count * grid.nodes for grid in self.grids)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """``(height, width)`` of every image, in nodes."""
        return [(grid.height, grid.width) for grid in self.grids for _ in range(grid.count)]

    def maps(self, x: Tensor) -> list[Tensor]:
        """Return ``x`` as one map ``[count, height, width, C]`` per grid, without copying."""
        if len(self.grids) == 1:
            return [x.view(*self.grids[0].shape, -1)]
        parts = x.split([grid.count * grid.nodes for grid in self.grids])
        return [part.view(*grid.shape, -1) for part, grid in zip(parts, self.grids, strict=True)]

    def ptr(self, device: torch.device | str | None = None) -> Tensor:
        """Return the first node of every image, and the end: ``[num_graphs + 1]``."""
        nodes = [0] + [grid.nodes for grid in self.grids for _ in range(grid.count)]
        return torch.tensor(nodes, device=device).cumsum(0)

    def batch(self, device: torch.device | str | None = None) -> Tensor:
        """Return the image of every node, ``[num_nodes]``."""
        image = torch.arange(self.num_graphs, device=device)
        return image.repeat_interleave(self.ptr(device).diff(), output_size=self.num_nodes)

    def pos(self, device: torch.device | str | None = None) -> Tensor:
        """Return the centre ``(x, y)`` of every node in units of the node spacing, ``[num_nodes, 2]``.

        The first node of an image lies at ``(0.5, 0.5)``.
        """
        maps = []
        for grid in self.grids:
            row = torch.arange(grid.height, device=device).view(-1, 1).expand(-1, grid.width)
            column = torch.arange(grid.width, device=device).expand(grid.height, -1)
            maps.append(torch.stack([column, row], dim=-1).expand(grid.count, -1, -1, -1) + 0.5)
        return self.join(maps)[0]
