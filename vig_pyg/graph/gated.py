"""Axial links at powers of two, each weighted by how alike its ends are, of AdaptViG."""

import torch
from torch import Tensor, nn

from vig_pyg.checks import check_whole
from vig_pyg.graph.layout import NodeLayout
from vig_pyg.graph.protocol import Edges
from vig_pyg.graph.registry import register_graph
from vig_pyg.graph.shifts import ShiftGraph


@register_graph("gated")
class GatedGraph(ShiftGraph):
    r"""Links every node to those at powers of two, weighted by likeness (AGC; Munir et al., "AdaptViG", 2026).

    Node :math:`(h, w)` is linked to :math:`(h - K, w)` and :math:`(h, w - K)`, with weight one, and to
    :math:`(h - 2^i, w)` and :math:`(h, w - 2^i)` for :math:`i = 1, 2, \dots` with weight

    .. math:: g_{ij} = \exp\left(-\frac{\lVert \mathbf{x}_i - \mathbf{x}_j \rVert_1}{|T| + 10^{-6}}\right)

    and :math:`T` a temperature that is learned. The operator takes weights: max-relative multiplies the difference.

    Args:
        step: ``K``.
        wrap: Links go around the border, as published; otherwise they end there, and go both ways.
    """

    def __init__(self, step: int = 2, wrap: bool = True) -> None:
        super().__init__(wrap)
        check_whole(step=step)
        self.step = step
        self.temperature = nn.Parameter(torch.ones(()))

    def steps(self, side: int) -> list[int]:
        """Return the step, then powers of two."""
        return [step for step in (self.step, *(2**i for i in range(1, side.bit_length()))) if step < side]

    def forward(self, x: Tensor, layout: NodeLayout) -> Edges:  # type: ignore[override]
        """Return the edges, sorted by target, and their weights."""
        edges = super().forward(x, layout)
        apart = self.distances(x, layout, near=self.step)
        return Edges(edges, torch.exp(-apart / (self.temperature.abs() + 1e-6)))
