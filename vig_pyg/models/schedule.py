"""How numbers change from block to block."""

from collections.abc import Sequence


def linear_steps(first: int, last: int, depth: int) -> list[int]:
    """Return ``depth`` whole numbers from ``first`` to ``last``, rising linearly and rounded down."""
    return [first + (last - first) * i // max(depth - 1, 1) for i in range(depth)]


def growing_dilation(depth: int, limit: int) -> list[int]:
    """Return ``min(l // 4 + 1, limit)`` for block ``l`` (paper, Section 4.1)."""
    return [min(i // 4 + 1, limit) for i in range(depth)]


def per_block(name: str, value: int | Sequence[int], depth: int) -> list[int]:
    """Return one number per block.

    Raises:
        ValueError: a sequence of another length.
    """
    if isinstance(value, int):
        return [value] * depth
    if len(value) != depth:
        raise ValueError(f"{name} has {len(value)} entries for {depth} blocks: give one number, or one per block")
    return list(value)
