"""The graph that links every node to all nodes of its image."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric import EdgeIndex

from vig_pyg.graph.edges import edges_from_degrees
from vig_pyg.graph.layout import NodeLayout
from vig_pyg.graph.points import Layout, PointLayout, as_layout
from vig_pyg.graph.protocol import LayoutGraph
from vig_pyg.graph.registry import register_graph


@register_graph("complete")
class CompleteGraph(LayoutGraph):
    """Links every node to all nodes of its image, itself among them: what attention looks at. Needs no grid."""

    def links(self, targets: tuple[int, int], sources: tuple[int, int]) -> NDArray[np.int64]:
        """Return the edges of one image, ``[2, nodes²]``."""
        nodes = np.arange(targets[0] * targets[1])
        return np.stack([np.tile(nodes, len(nodes)), np.repeat(nodes, len(nodes))])

    def forward(self, x: Tensor, layout: Layout | Tensor | None) -> EdgeIndex:  # type: ignore[override]
        """Return the edges, sorted by target and then by source."""
        layout = as_layout(layout, x)
        edges = super().forward(x, layout) if isinstance(layout, NodeLayout) else all_edges(layout, x.device)
        edges.complete = True  # what an operator may know
        return edges


def all_edges(layout: PointLayout, device: torch.device) -> EdgeIndex:
    """Return the edges between all nodes of every graph of a layout."""
    ptr, batch = layout.ptr(device), layout.batch(device)
    degree, total = ptr.diff()[batch], sum(count**2 for count in layout.counts)
    first = (degree.cumsum(0) - degree).repeat_interleave(degree, output_size=total)
    source = torch.arange(total, device=device) - first + ptr[batch].repeat_interleave(degree, output_size=total)
    return edges_from_degrees(source, degree, len(batch), max(layout.counts))
