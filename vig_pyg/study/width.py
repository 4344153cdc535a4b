"""Widths at which models cost the same, as the paper chose them for its Table 7."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence


def matching_width(macs: Callable[[int], int], target: int, widths: Sequence[int]) -> tuple[int, dict[int, int]]:
    """Return the width whose cost is nearest to a target, and the cost of every width that was tried.

    The cost rises with the width, so that halving the range finds it.

    Args:
        macs: The cost of a width.
        target: The cost to come near to.
        widths: To choose from, in rising order.
    """
    tried: dict[int, int] = {}

    def cost(width: int) -> int:
        if width not in tried:
            tried[width] = macs(width)
        return tried[width]

    above = bisect_left(widths, target, key=cost)
    best = min(widths[max(0, above - 1) : above + 1], key=lambda width: abs(cost(width) - target))
    return best, dict(sorted(tried.items()))
