"""What the blocks of a model are told: numbers that change from block to block, and options of their graph."""

from collections.abc import Mapping, Sequence
from typing import Any

from vig_pyg.graph.registry import GraphLike, check_graph_options


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
        TypeError: neither a whole number nor a sequence.
    """
    if isinstance(value, int):
        return [value] * depth
    if not isinstance(value, Sequence):
        raise TypeError(f"{name} must be a whole number or one per block, got {value!r}")
    if len(value) != depth:
        raise ValueError(f"{name} has {len(value)} entries for {depth} blocks: give one number, or one per block")
    return list(value)


def given_options(
    graph: GraphLike,
    options: Mapping[str, Any] | None,
    k: int | Sequence[int] | None,
    dilation: int | Sequence[int] | None,
    stochastic: bool,
) -> dict[str, Any]:
    """Return a graph's options, after refusing what was given and the graph has no use for.

    Raises:
        TypeError: the graph has no such option; the sentence names it, and what it has.
    """
    given = dict(options or {})
    asked = {"k": k, "dilation": dilation, "stochastic": stochastic or None}
    check_graph_options(graph, {**{name: value for name, value in asked.items() if value is not None}, **given})
    for name in asked:
        if name in given:
            raise TypeError(
                f"graph_options may not hold {name!r}, which the model has a keyword for: {name}={given[name]!r}"
            )
    return given


def check_numbers(drop_path_rate: float, **numbers: int | Sequence[int]) -> None:
    """Refuse sizes below 1 and a probability outside 0 to 1.

    Raises:
        ValueError: one is; the sentence names it.
    """
    if not 0 <= drop_path_rate <= 1:
        raise ValueError(f"drop_path_rate must lie between 0 and 1, got {drop_path_rate}")
    for name, value in numbers.items():
        if min([value] if isinstance(value, int) else value) < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
