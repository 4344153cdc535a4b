"""The graph of random nodes, which every other has to beat."""

import numpy as np
from numpy.typing import NDArray

from vig_pyg.checks import check_whole
from vig_pyg.graph.protocol import LayoutGraph, links_from_neighbors
from vig_pyg.graph.registry import register_graph


@register_graph("random")
class RandomGraph(LayoutGraph):
    """Links every node to random nodes, the same ones in all images and blocks, and to itself.

    Args:
        k: Neighbors of every node.
        seed: Decides which.
    """

    bipartite = True

    def __init__(self, k: int = 9, seed: int = 0) -> None:
        super().__init__()
        check_whole(k=k)
        check_whole(0, seed=seed)
        self.k, self.seed = k, seed

    def links(self, targets: tuple[int, int], sources: tuple[int, int]) -> NDArray[np.int64]:
        """Return the edges of one image, ``[2, nodes · k]``.

        Raises:
            ValueError: there are fewer nodes than neighbors.
        """
        order = np.random.default_rng(self.seed).random((targets[0] * targets[1], sources[0] * sources[1]))
        if targets == sources:
            np.fill_diagonal(order, -1)
        return links_from_neighbors(order.argsort(axis=1)[:, : self.k], self.k, sources)
