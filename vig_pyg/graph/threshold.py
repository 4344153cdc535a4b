"""The graph of all nodes that are more alike than a threshold, after SViG and ViG-LRGC."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch_geometric import EdgeIndex

from vig_pyg.checks import check_flags, check_kind
from vig_pyg.graph.edges import edges_from_degrees
from vig_pyg.graph.padded import Part, directions, parts, sides
from vig_pyg.graph.protocol import Edges, Graph, Layouts, Nodes
from vig_pyg.graph.registry import register_graph
from vig_pyg.kernels.search import BLOCK_SCORES


@register_graph("threshold")
class ThresholdGraph(Graph):
    r"""Links every node to all that are more alike than a threshold, and to itself; the degree varies.

    After SViG (IEEE Access, 2025; fixed threshold) and ViG-LRGC (arXiv 2509.18840; learned). Alike is the cosine
    :math:`s_{ij}` of features. With ``learned``, the threshold :math:`t` is a parameter of every block, and edges have
    weights

    .. math:: w_{ij} = \max(0, s_{ij} - t) / (1 - t)

    which rise from 0 at the threshold to 1 between equal nodes. An edge that a moving threshold drops weighed nothing
    before, so what ``"max_relative"`` and sums receive does not jump, and the gradient in :math:`t` and in the features
    is exact. ViG-LRGC compares queries with keys, which are maps of their own; here they are the features themselves.
    Among pooled nodes, a node links to the most alike in any case.

    Args:
        threshold: Between -1 and 1; where learned, the first.
        learned: It is trained. The operator must take ``edge_weight``, as ``"max_relative"``, ``"gin"`` and ``"sage"``
            do.

    Shapes:
        - x: ``[N, C]`` or ``([M, C], [N, C])``
        - output: edges ``[2, E]``, sorted by target, with weights ``[E]`` where learned
    """

    bipartite = True

    def __init__(self, threshold: float = 0.5, learned: bool = False) -> None:
        super().__init__()
        check_flags(learned=learned)
        check_kind("a number", int | float, threshold=threshold)
        if isinstance(threshold, bool) or not -1 < threshold < 1:
            raise ValueError(f"threshold is a cosine between -1 and 1, got {threshold}")
        self.learned = learned
        self.angle = nn.Parameter(torch.tensor(math.atanh(threshold))) if learned else math.atanh(threshold)

    @property
    def threshold(self) -> float:
        """The cosine above which nodes are linked."""
        return math.tanh(self.angle.item() if isinstance(self.angle, Tensor) else self.angle)

    @torch.compiler.disable  # how many edges there are is a value
    def forward(self, x: Nodes, layout: Layouts | Tensor | None) -> EdgeIndex | Edges:
        """Return the edges, and where the threshold is learned their weights.

        Raises:
            TypeError, ValueError: nodes are no matrix of floats, or do not fit their layout.
        """
        sources, source_layout, targets, target_layout = sides(x, layout)
        with_gradient = torch.set_grad_enabled(self.learned and torch.is_grad_enabled())
        with with_gradient, torch.autocast(sources.device.type, enabled=False):  # half precision would change edges
            keys = directions(sources)
            queries = keys if targets is sources else directions(targets)
            blocks = [
                self._block(*block)
                for part in parts(keys, source_layout, queries, target_layout)
                for block in _blocks(part)
            ]
            source, degree, weight = (torch.cat(values) for values in zip(*blocks, strict=True))
        edges = edges_from_degrees(source, degree, len(sources), int(degree.max()))
        return Edges(edges, weight.to(sources.dtype)) if self.learned else edges

    def _block(self, queries: Tensor, is_target: Tensor, part: Part, row: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the sources of the edges to some rows of some graphs, the degree of every row, and all weights."""
        alike = queries @ part.sources.mT
        threshold = torch.as_tensor(self.angle, dtype=alike.dtype).tanh()
        offered = part.is_source.unsqueeze(1)
        kept = alike.detach() > threshold.detach()
        if part.targets is part.sources:
            kept.diagonal(row, 1, 2)[..., : kept.size(1)].fill_(True)
        else:
            kept.scatter_(2, alike.detach().masked_fill(~offered, -torch.inf).argmax(2, keepdim=True), True)
        kept &= offered & is_target.unsqueeze(2)
        image, _, column = kept.nonzero(as_tuple=True)
        weight = ((alike[kept] - threshold) / (1 - threshold)).relu() if self.learned else alike.new_empty(0)
        return column + part.first[image], kept.sum(2)[is_target], weight

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows."""
        return "learned=True" if self.learned else f"threshold={self.threshold:g}"


def _blocks(part: Part) -> Iterator[tuple[Tensor, Tensor, Part, int]]:
    """Yield rows of some graphs, which are nodes, these graphs, and the first row: few enough scores at once."""
    graphs, rows, columns = *part.targets.shape[:2], part.sources.size(1)
    several, tall = max(1, BLOCK_SCORES // (rows * columns)), max(1, BLOCK_SCORES // columns)
    for graph in range(0, graphs, several):
        some = slice(graph, graph + several)
        sources = part.sources[some]
        own = Part(
            sources if part.targets is part.sources else part.targets[some],
            part.is_target[some],
            sources,
            part.is_source[some],
            part.first[some],
        )
        for row in range(0, rows, tall):
            yield own.targets[:, row : row + tall], own.is_target[:, row : row + tall], own, row
