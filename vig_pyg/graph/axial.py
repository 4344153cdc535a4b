"""Graphs of fixed links along rows and columns, of the mobile models."""

from vig_pyg.checks import check_whole
from vig_pyg.graph.registry import register_graph
from vig_pyg.graph.shifts import ShiftGraph


@register_graph("axial")
class AxialGraph(ShiftGraph):
    r"""Links every node to every ``step``-th of its row and column (SVGA; Munir et al., "MobileViG", 2023).

    Node :math:`(h, w)` is linked to :math:`(h - i K, w)` and :math:`(h, w - i K)` with :math:`K` the step and
    :math:`i = 1, 2, \dots`, :math:`i K` below the height, or the width.

    Args:
        step: ``K``.
        wrap: Links go around the border, as published; otherwise they end there, and go both ways.
    """

    def __init__(self, step: int = 2, wrap: bool = True) -> None:
        super().__init__(wrap)
        check_whole(step=step)
        self.step = step

    def steps(self, side: int) -> list[int]:
        """Return the multiples of the step."""
        return list(range(self.step, side, self.step))


@register_graph("cross")
class CrossGraph(ShiftGraph):
    r"""Links every node to four: ``step`` up, down, left and right (MGC; Avery et al., "MobileViGv2", 2024).

    Node :math:`(h, w)` is linked to :math:`(h \pm K, w)` and :math:`(h, w \pm K)` with :math:`K` the step. On an axis
    of no more than :math:`K` nodes there are no links.

    Args:
        step: ``K``.
        wrap: Links go around the border, as published; otherwise they end there.
    """

    def __init__(self, step: int = 2, wrap: bool = True) -> None:
        super().__init__(wrap)
        check_whole(step=step)
        self.step = step

    def steps(self, side: int) -> list[int]:
        """Return the step, both ways."""
        return [self.step, -self.step] if self.step < side else []


@register_graph("log")
class LogGraph(ShiftGraph):
    r"""Links every node to those at logarithmic distances (LSGC; Munir et al., "LogViG", 2024).

    Node :math:`(h, w)` is linked to :math:`(h \pm (K^i - 1), w)` and :math:`(h, w \pm (K^i - 1))` for
    :math:`i = 1, 2, \dots` up to :math:`\lfloor \log_2 \rfloor` of the height, or the width; what would leave the image
    is left out.

    Args:
        base: ``K``.
        wrap: Links go around the border, as published; otherwise they end there.
    """

    def __init__(self, base: int = 2, wrap: bool = True) -> None:
        super().__init__(wrap)
        check_whole(2, base=base)
        self.base = base

    def steps(self, side: int) -> list[int]:
        """Return the distances, both ways."""
        far = (self.base**i - 1 for i in range(1, side.bit_length()))
        return [way for step in far if step < side for way in (step, -step)]
