"""Where nodes are in images: which image, which row, which column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vig_pyg.checks import check_kind, check_whole
from vig_pyg.graph.checks import check_matrix


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

    def __post_init__(self) -> None:
        """Refuse what is not a tuple of grids."""
        if not isinstance(self.grids, tuple) or not all(isinstance(grid, Grid) for grid in self.grids):
            raise TypeError(f"grids must be a tuple of Grid, got {self.grids!r}")

    @staticmethod
    def uniform(count: int, height: int, width: int) -> NodeLayout:
        """Return the layout of ``count`` images of one size.

        Raises:
            TypeError, ValueError: a number is not whole, or below one.
        """
        check_whole(count=count, height=height, width=width)
        return NodeLayout((Grid(count, height, width),))

    @staticmethod
    def from_sizes(sizes: Sequence[Sequence[int]]) -> NodeLayout:
        """Return the layout of images of the given ``(height, width)``; equal neighbors share a grid.

        Raises:
            TypeError, ValueError: a size is not a pair of whole numbers of at least one.
        """
        grids: list[Grid] = []
        if not isinstance(sizes, Sequence):
            raise TypeError(f"sizes must be a sequence of pairs (height, width), got {type(sizes).__name__}")
        for size in sizes:
            if not isinstance(size, Sequence) or len(size) != 2:
                raise ValueError(f"the size of an image is a pair (height, width), got {size!r}")
            height, width = size
            check_whole(height=height, width=width)
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
        """Return ``x`` as one map ``[count, height, width, C]`` per grid, without copying.

        Raises:
            ValueError: ``x`` does not have a row per node.
        """
        check_layout(self, x)
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
        """Return the center ``(x, y)`` of every node in units of the node spacing, ``[num_nodes, 2]``.

        The first node of an image is at ``(0.5, 0.5)``.
        """
        maps = []
        for grid in self.grids:
            row = torch.arange(grid.height, device=device).view(-1, 1).expand(-1, grid.width)
            column = torch.arange(grid.width, device=device).expand(grid.height, -1)
            maps.append(torch.stack([column, row], dim=-1).expand(grid.count, -1, -1, -1) + 0.5)
        return self.join(maps)[0]


def maps_of(x: Tensor, layout: NodeLayout) -> list[Tensor]:
    """Return nodes as one channels-last feature map ``[count, C, height, width]`` per grid, without copying.

    Raises:
        ValueError: ``x`` does not have a row per node.
    """
    return [m.permute(0, 3, 1, 2) for m in layout.maps(x)]


def nodes_of(maps: Sequence[Tensor]) -> tuple[Tensor, NodeLayout]:
    """Return feature maps ``[count, C, height, width]`` as one node matrix and its layout.

    One map whose channels are last in memory is not copied.
    """
    return NodeLayout.join([m.permute(0, 2, 3, 1) for m in maps])


def check_layout(layout: NodeLayout, x: Tensor) -> None:
    """Refuse what is not the layout of the nodes ``x``."""
    if not isinstance(layout, NodeLayout) or not isinstance(x, Tensor):  # on the way of every block: cheap
        check_kind("a NodeLayout", NodeLayout, layout=layout)
        check_kind("a tensor", Tensor, x=x)
    if x.dim() == 0 or x.size(0) != layout.num_nodes:
        raise ValueError(f"the layout has {layout.num_nodes} nodes, but x has shape {list(x.shape)}")


def check_nodes(sources: Tensor, targets: Tensor, source_layout: NodeLayout, target_layout: NodeLayout) -> None:
    """Refuse nodes that do not fit their layouts or each other, without a look at values."""
    for title, x, layout in (("x", targets, target_layout), ("the matrix of sources", sources, source_layout)):
        check_matrix(title, x)
        if not isinstance(layout, NodeLayout):
            raise TypeError(f"the layout must be a NodeLayout or a pair of them, got {type(layout).__name__}")
        if len(layout.grids) == 0:
            raise ValueError("the layout holds no images: give at least one")
    if sources is targets and source_layout is target_layout:
        return
    if source_layout.num_graphs != target_layout.num_graphs or len(source_layout.grids) != len(target_layout.grids):
        raise ValueError("the layouts of sources and targets must hold the same images")
    if sources.size(1) != targets.size(1) or sources.dtype != targets.dtype or sources.device != targets.device:
        kinds = (f"{x.size(1)} channels of {x.dtype} on {x.device}" for x in (sources, targets))
        raise ValueError("sources and targets must be alike, got " + " and ".join(kinds))
