"""What the blocks of a model are told: numbers that change from block to block, and options of their graph."""

from collections.abc import Mapping, Sequence
from typing import Any

from vig_pyg.checks import check_flags, check_kind, check_whole, check_whole_lists
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
        ValueError: a sequence of another length, or a number below one.
        TypeError: neither a whole number nor a sequence of them.
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        check_whole(**{name: value})
        return [value] * depth
    check_whole_lists(**{name: value})
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
    if options is not None:
        check_kind("a mapping from names of options to values", Mapping, graph_options=options)
        for name in options:
            check_kind("text", str, **{"every name in graph_options": name})
    check_flags(stochastic=stochastic)
    given = dict(options or {})
    asked = {"k": k, "dilation": dilation, "stochastic": stochastic or None}
    check_graph_options(graph, {**{name: value for name, value in asked.items() if value is not None}, **given})
    for name in asked:
        if name in given:
            raise TypeError(
                f"graph_options may not hold {name!r}, which the model has a keyword for: {name}={given[name]!r}"
            )
    return given
