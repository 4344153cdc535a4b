"""The axial graph without its longer links, of GreedyViG."""

import torch
from torch import Tensor, nn
from torch_geometric import EdgeIndex

from vig_pyg.graph.axial import AxialGraph
from vig_pyg.graph.edges import compressed
from vig_pyg.graph.layout import NodeLayout
from vig_pyg.graph.protocol import Graph
from vig_pyg.graph.pyg_internals import sorted_edge_index
from vig_pyg.graph.registry import register_graph


@register_graph("greedy")
class GreedyGraph(Graph):
    r"""Keeps the links of the axial graph whose ends are alike (DAGC; Munir et al., "GreedyViG", 2024).

    .. math::
        j \in \mathcal{N}(i) \iff \lVert \mathbf{x}_j - \mathbf{x}_i \rVert_1 < \mu - \sigma

    with :math:`\mu` and :math:`\sigma` the mean and the deviation, over the nodes of the image, of the distance between
    a node and the one half the height and half the width away. Nodes have any number of neighbors, and none that is
    the node itself. The paper says Euclidean distance, the published code takes this one.

    Args:
        step: Candidates are every ``step``-th node of the own row and column.
        wrap: They go around the border, as published.
    """

    def __init__(self, step: int = 2, wrap: bool = True) -> None:
        super().__init__()
        self.candidates = AxialGraph(step, wrap)
        self.step = step

    def forward(self, x: Tensor, layout: NodeLayout) -> EdgeIndex:  # type: ignore[override]
        """Return the edges, sorted by target; no gradient goes through the choice."""
        edges = self.candidates(x, layout)
        nodes = x.detach()
        limit = torch.cat([distance_limit(m).repeat_interleave(m.size(1) * m.size(2)) for m in layout.maps(nodes)])
        kept = self.candidates.distances(nodes, layout) < limit[edges.as_tensor()[1]]
        of_candidates, _, most = compressed(edges)
        ptr = nn.functional.pad(kept.cumsum(0), (1, 0))[of_candidates]
        return sorted_edge_index(edges.as_tensor()[:, kept], (len(x), len(x)), ptr, most)


def distance_limit(maps: Tensor) -> Tensor:
    """Return the mean minus the deviation of the distances of every image's nodes from those half an image away.

    Shapes:
        - maps: ``[B, H, W, C]``
        - output: ``[B]``, zero for images of one node
    """
    height, width = maps.size(1), maps.size(2)
    if height * width == 1:
        return maps.new_zeros(len(maps))
    apart = (maps - maps.roll((-(-height // 2), -(-width // 2)), (1, 2))).abs_().sum(3).flatten(1)
    return apart.mean(1) - apart.std(1)
