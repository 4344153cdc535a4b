"""The graph of the nearest nodes in the image, whatever is in it: the grid of a CNN."""

import numpy as np
from numpy.typing import NDArray

from vig_pyg.checks import check_whole
from vig_pyg.graph.protocol import LayoutGraph, links_from_neighbors
from vig_pyg.graph.registry import register_graph


@register_graph("grid")
class GridGraph(LayoutGraph):
    """Links every node to the nodes that are nearest in the image, itself among them: the grid of a CNN.

    Args:
        k: Neighbors of every node: with 9, the window of 3×3.
        dilation: Keep every ``dilation``-th of the ``k·dilation`` nearest; shrinks where nodes are too few.
    """

    bipartite = True

    def __init__(self, k: int = 9, dilation: int = 1) -> None:
        super().__init__()
        check_whole(k=k, dilation=dilation)
        self.k, self.dilation = k, dilation

    def links(self, targets: tuple[int, int], sources: tuple[int, int]) -> NDArray[np.int64]:
        """Return the edges of one image, ``[2, nodes · k]``.

        Raises:
            ValueError: there are fewer nodes than neighbors.
        """
        apart = _centers(targets, targets)[:, None] - _centers(sources, targets)
        nearest = np.square(apart).sum(2).argsort(axis=1, kind="stable")
        dilation = min(self.dilation, max(1, nearest.shape[1] // self.k))
        return links_from_neighbors(nearest[:, : self.k * dilation : dilation], self.k, sources)


def _centers(grid: tuple[int, int], image: tuple[int, int]) -> NDArray[np.float64]:
    """Return where the nodes of a grid are, ``[nodes, 2]``, in an image of so many rows and columns."""
    rows, columns = ((np.arange(count) + 0.5) * extent / count for count, extent in zip(grid, image, strict=True))
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
