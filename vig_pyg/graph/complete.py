"""The graph that links every node to all nodes of its image."""

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from vig_pyg.graph.edges import edges_from_degrees
from vig_pyg.graph.layout import NodeLayout
from vig_pyg.graph.points import Layout, as_layout
from vig_pyg.graph.protocol import KEPT_LAYOUTS, Graph
from vig_pyg.graph.recent import Recent
from vig_pyg.graph.registry import register_graph


@register_graph("complete")
class CompleteGraph(Graph):
    """Links every node to all nodes of its image, itself among them: what attention looks at. Needs no grid."""

    def __init__(self) -> None:
        super().__init__()
        self.recent: Recent[EdgeIndex] = Recent(KEPT_LAYOUTS)

    def forward(self, x: Tensor, layout: Layout | Tensor | None) -> EdgeIndex:  # type: ignore[override]
        """Return the edges, sorted by target and then by source."""
        layout = as_layout(layout, x)
        if not isinstance(layout, NodeLayout):
            return all_edges(layout, x.device)
        return self.recent.get((layout, x.device), x, lambda: all_edges(layout, x.device))


def all_edges(layout: Layout, device: torch.device) -> EdgeIndex:
    """Return the edges between all nodes of every graph of a layout."""
    ptr, batch = layout.ptr(device), layout.batch(device)
    degree = ptr.diff()[batch]
    counts = [rows * columns for rows, columns in layout.sizes] if isinstance(layout, NodeLayout) else layout.counts
    total = sum(count**2 for count in counts)
    first = (degree.cumsum(0) - degree).repeat_interleave(degree, output_size=total)
    source = torch.arange(total, device=device) - first + ptr[batch].repeat_interleave(degree, output_size=total)
    edges = edges_from_degrees(source, degree, len(batch), max(counts))
    edges.complete = True
    return edges
