"""Nearest neighbors within windows of the image (Spadaro et al., "WiGNet", 2025)."""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric import EdgeIndex

from vig_pyg.checks import check_flags, check_kind, check_whole
from vig_pyg.graph.edges import edges_from_degrees
from vig_pyg.graph.layout import Grid, NodeLayout, check_nodes
from vig_pyg.graph.nearest import nearest, unit_length
from vig_pyg.graph.position import RelativePosition
from vig_pyg.graph.protocol import KEPT_LAYOUTS, Graph, Layouts, Nodes
from vig_pyg.graph.recent import Recent
from vig_pyg.graph.registry import register_graph
from vig_pyg.graph.search import FAR

LEAST_ADAPTED = 3  # neighbors that are kept in shifted windows


class Windows(NamedTuple):
    """How a map of ``N`` nodes falls into ``W`` windows of ``P`` places, and which links are kept, ``E`` in all."""

    nodes: Tensor
    """The node at every place, ``[W·P]``; any one at places outside of the map."""
    far: Tensor | None
    """What to add to inner products of places that may not be linked, ``[W, P, P]``; None where all may be."""
    degree: Tensor
    """Neighbors of every node, ``[N]``."""
    kept: Tensor
    """Where the neighbors of all nodes in turn are in a matrix of neighbors by place, ``[E]``."""
    first: Tensor
    """The first place of the window that each of them is in, ``[E]``."""


@register_graph("window")
class WindowGraph(Graph):
    r"""Links every node to its k nearest neighbors within its window, shifted in every second block; needs a grid.

    The distance is :math:`\lVert x_j - x_i \rVert^2 - 2\,\langle e_i, e_j \rangle / D` with features of unit length
    and, where the model has positions, embeddings :math:`e` of the places within the window. A node is its own nearest
    neighbor.

    A block of odd number shifts the windows by half of their side to the lower right. What is cut off above and left
    is in the windows that would reach over the lower and right border, as if the map were rolled, but nodes that meet
    there from two sides of the map are not linked. A side of the map no longer than a window is one window, which is
    not shifted. Where windows do not divide the map, those at the lower and right border hold fewer nodes (a rule of
    ours: WiGNet takes no such images). A node with fewer than ``k`` nodes that it may be linked to is linked to all.

    Args:
        k: Neighbors of a node, at most.
        dilation: Keep every ``dilation``-th of the ``k·dilation`` nearest; shrinks where a window has too few nodes.
        window: Side of the windows in nodes.
        adapt: In shifted windows, link node ``i``, which may be linked to ``a_i`` of the ``P`` places, to no more than
            :math:`\max(\lfloor k \, a_i / P \rfloor, 3)`. WiGNet fills its list up with the node itself, which does
            not change a maximum over neighbors among which the node is; here the list is shorter.
        block: Number of the block within its stage, from 0.
        position: The relative position of the stage, of which its width matters, or None.

    Shapes:
        - x: ``[N, C]``
        - output: edges ``[2, E]``, ``E ≤ N·k``, sorted by target and then by distance
    """

    def __init__(
        self,
        k: int = 9,
        dilation: int = 1,
        *,
        window: int = 7,
        adapt: bool = False,
        block: int = 0,
        position: RelativePosition | None = None,
    ) -> None:
        super().__init__()
        check_whole(k=k, dilation=dilation, window=window)
        check_whole(0, block=block)
        check_flags(adapt=adapt)
        check_kind("a RelativePosition or None", RelativePosition | None, position=position)
        if k > window**2:
            raise ValueError(
                f"k={k} neighbors need at least {k} nodes, but a window of {window}×{window} has {window**2}"
            )
        self.k, self.dilation, self.window, self.adapt = k, dilation, window, adapt
        self.shift = window // 2 if block % 2 else 0
        self.position = None if position is None else RelativePosition(position.channels, (window, window))
        self.recent: Recent[Windows] = Recent(KEPT_LAYOUTS)

    def forward(self, x: Nodes, layout: Layouts) -> EdgeIndex:
        """Return the edges.

        Raises:
            ValueError: the nodes do not fit their layout.
            TypeError: the nodes are no matrix of floats, or have no grid.
        """
        if not isinstance(layout, NodeLayout):
            raise TypeError(f"{type(self).__name__} links places of a grid, and these nodes have none: take 'knn'")
        check_nodes(x, x, layout, layout)
        sources, degrees, start = [], [], 0
        for map_ in layout.maps(unit_length(x)):
            height, width = map_.shape[1:3]
            key = height, width, x.device
            windows = self.recent.get(key, x, partial(self._windows, *key))
            neighbors = self._neighbors(map_.flatten(1, 2), windows, height, width)
            first = torch.arange(map_.size(0), device=x.device).unsqueeze(1) * (height * width) + start
            sources.append((neighbors + first).flatten())
            degrees.append(windows.degree.repeat(map_.size(0)))
            start += map_.size(0) * height * width
        return edges_from_degrees(torch.cat(sources), torch.cat(degrees), x.size(0), self.k)

    def _neighbors(self, x: Tensor, windows: Windows, height: int, width: int) -> Tensor:
        """Return the neighbors of all nodes in turn, for images ``[B, N, C]`` of one size: ``[B, E]``."""
        sides = min(self.window, height), min(self.window, width)
        places = sides[0] * sides[1]
        k = min(self.k, places)
        points = x.index_select(1, windows.nodes).view(-1, places, x.size(2))
        bias = self._bias(windows, *sides, points)
        if bias is not None and bias.dim() == 3:
            bias = bias.expand(x.size(0), -1, -1, -1).flatten(0, 1)
        found = nearest(points, points, k, self.dilation, unit=True, channels=x.size(2), bias=bias)
        kept = found.reshape(x.size(0), -1).index_select(1, windows.kept) + windows.first
        return windows.nodes.index_select(0, kept.flatten()).view_as(kept)

    def _bias(self, windows: Windows, height: int, width: int, like: Tensor) -> Tensor | None:
        """Return what to add to inner products in windows of so many places, ``[P, P]`` or ``[W, P, P]``."""
        far = None if windows.far is None else windows.far.to(like.dtype)
        if self.position is None:
            return far
        if self.position.table is None:  # large windows
            bias = self.position.by_axis(Grid(1, height, width), like).table()
        else:
            table = self.position.table.view(4 * (self.window,))[:height, :width, :height, :width]
            bias = table.reshape(height * width, -1).to(like.dtype)
        return bias if far is None else bias + far

    def _windows(self, height: int, width: int, device: torch.device) -> Windows:
        """Return how a map of so many rows and columns falls into windows."""
        # A compiler takes a length for a constant.
        made = self._of_image(len(range(height)), len(range(width)))
        nodes, far, degree, kept, first = (each.to(device) for each in made)
        return Windows(nodes, far if far.numel() else None, degree, kept, first)

    @torch.compiler.assume_constant_result
    def _of_image(self, height: int, width: int) -> tuple[Tensor, ...]:
        """Return the fields of :class:`Windows`, by NumPy: constants wherever a model is traced or compiled."""
        (row, above), (column, left) = self._along(height), self._along(width)
        inside = _joined(np.logical_and, row < height, column < width)
        number = _joined(np.add, row * width, column)
        side = _joined(np.add, 2 * above, left)
        linked = (side[:, :, None] == side[:, None]) & inside[:, None]
        places = number.shape[1]
        k = min(self.k, places)
        place = np.flatnonzero(inside)[number[inside].argsort()]  # of every node
        allowed = linked.sum(2).ravel()[place]
        degree = np.minimum(k, -(-allowed // min(self.dilation, places // k)))
        if self.adapt and self.shift:
            degree = np.minimum(degree, np.maximum(k * allowed // places, LEAST_ADAPTED))
        kept = (place[:, None] * k + np.arange(k))[np.arange(k) < degree[:, None]]
        first = np.repeat(place - place % places, degree)
        far = np.zeros(0) if linked.all() else np.where(linked, 0, FAR)
        made = np.where(inside, number, 0).ravel(), far.astype(np.float32), degree, kept, first
        return tuple(torch.from_numpy(each) for each in made)

    def _along(self, side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows that windows hold, or columns, of so many, and which came around the border, ``[W, P]``."""
        window = min(self.window, side)
        padded = -(-side // window) * window
        place = np.arange(padded) + (self.shift if side > window else 0)
        return (place % padded).reshape(-1, window), (place // padded).reshape(-1, window)

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows."""
        return f"{super().extra_repr()}, window={self.window}, shift={self.shift}, adapt={self.adapt}"


def _joined(how: np.ufunc, rows: NDArray[np.generic], columns: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return what is said of rows and of columns for the places of all windows, ``[W, P]``."""
    both = how(rows[:, None, :, None], columns[None, :, None, :])
    return both.reshape(both.shape[0] * both.shape[1], -1)
