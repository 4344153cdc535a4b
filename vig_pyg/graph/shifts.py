"""What graphs on the rows and columns of an image share: every node is linked to those some steps away."""

from abc import abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vig_pyg.checks import check_flags
from vig_pyg.graph.layout import NodeLayout
from vig_pyg.graph.protocol import LayoutGraph
from vig_pyg.kernels.shifts import shifted_distances


class ShiftGraph(LayoutGraph):
    """Links every node to those some steps up its column, then to those some steps left in its row.

    Args:
        wrap: What is beyond the border is taken from the other side of the image, as published. Otherwise it is left
            out, and links go both ways: down the column and right in the row as well.
    """

    def __init__(self, wrap: bool = True) -> None:
        super().__init__()
        check_flags(wrap=wrap)
        self.wrap = wrap

    @abstractmethod
    def steps(self, side: int) -> list[int]:
        """Return how far away the neighbors are, negative where they are down or right, on an axis of ``side`` nodes.

        What wraps around to the node itself, and what is said twice, is left out.
        """

    def shifts(self, side: int) -> list[int]:
        """Return the steps without these, and both ways without a border to wrap around: the slots of an axis."""
        if self.wrap:
            return list(dict.fromkeys(step % side for step in self.steps(side) if step % side))
        both = (way for step in self.steps(side) for way in (step, -step))
        return list(dict.fromkeys(way for way in both if 0 < abs(way) < side))

    def links(self, targets: tuple[int, int], sources: tuple[int, int]) -> NDArray[np.int64]:
        """Return the edges of one image, ``[2, E]``, those of a node in the order of the shifts."""
        neighbors, inside = self._slots(*targets)
        node = np.broadcast_to(np.arange(len(neighbors))[:, None], neighbors.shape)
        return np.stack([neighbors[inside], node[inside]])

    def distances(self, x: Tensor, layout: NodeLayout, near: int = 0) -> Tensor:
        """Return the L1 distance between the ends of every edge, ``[E]``, in the order of the edges.

        That of edges over ``near`` steps is taken for zero.
        """
        found = []
        for m in layout.maps(x):
            sides = m.size(1), m.size(2)
            axes = ([0 if abs(by) == near else by for by in self.shifts(side)] for side in sides)
            apart = shifted_distances(m, *axes).flatten(0, 2)
            found.append(self.of_edges(apart, *sides))
        return found[0] if len(found) == 1 else torch.cat(found)

    def of_edges(self, values: Tensor, height: int, width: int) -> Tensor:
        """Return the values of edges, ``[E]``, from those of every slot of the nodes of some images, ``[N, slots]``."""
        if self.wrap:
            return values.flatten()
        inside = torch.from_numpy(self._slots(height, width)[1]).to(values.device)
        return values[inside.repeat(len(values) // len(inside), 1)]

    def _slots(self, height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the node in every slot of a node, ``[nodes, slots]``, and whether it is inside of the border."""
        row, column = np.divmod(np.arange(height * width)[:, None], width)
        above = row - np.array(self.shifts(height), dtype=np.int64)
        left = column - np.array(self.shifts(width), dtype=np.int64)
        neighbors = np.concatenate([above % height * width + column, row * width + left % width], axis=1)
        inside = np.concatenate([(above >= 0) & (above < height), (left >= 0) & (left < width)], axis=1)
        return neighbors, np.ones_like(inside) if self.wrap else inside
