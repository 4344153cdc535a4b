"""What the blocks of a model are told: numbers that change from block to block, and options of their graph."""

from collections.abc import Mapping, Sequence
from typing import Any

from vig_pyg.checks import check_flags, check_kind, check_whole, check_whole_lists
from vig_pyg.conv.registry import CONVS, SHARED_OPTIONS, ConvFactory, get_conv, options_of
from vig_pyg.graph.registry import GraphLike, check_graph_options, takes


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


def per_stage(name: str, value: Any, stages: int) -> list[Any]:
    """Return one entry per stage: those of a list or tuple, or the same for all.

    Raises:
        ValueError: a list of another length.
    """
    if not isinstance(value, list | tuple):
        return [value] * stages
    if len(value) != stages:
        raise ValueError(f"{name} has {len(value)} entries for {stages} stages: give one, or one per stage")
    return list(value)


def given_conv_options(convs: Sequence[str | ConvFactory], options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options of operators, after refusing what none of them has a use for.

    Raises:
        TypeError: the operators have no such option; the sentence names it, and what the first has.
    """
    if options is not None:
        check_kind("a mapping from names of options to values", Mapping, conv_options=options)
    given = dict(options or {})
    for name in given:
        if not any(options_of(conv, {name: None}) for conv in convs):
            CONVS.check_options(convs[0], get_conv(convs[0]), [name])
        elif name in SHARED_OPTIONS:
            raise TypeError(f"conv_options may not hold {name!r}, which the model has a keyword for")
    return given


def given_options(
    graph: GraphLike | Sequence[GraphLike],
    options: Mapping[str, Any] | None,
    k: int | Sequence[int] | None,
    dilation: int | Sequence[int] | None,
    stochastic: bool,
    **others: Any,
) -> dict[str, Any]:
    """Return a graph's options, after refusing what was given and the graph, or every one of several, has no use for.

    Keywords of the model other than the named ones follow them; None where they were not given.

    Raises:
        TypeError: the graph has no such option; the sentence names it, and what it has.
    """
    if options is not None:
        check_kind("a mapping from names of options to values", Mapping, graph_options=options)
        for name in options:
            check_kind("text", str, **{"every name in graph_options": name})
    check_flags(stochastic=stochastic)
    given = dict(options or {})
    asked = {"k": k, "dilation": dilation, "stochastic": stochastic or None, **others}
    graphs: Sequence[Any] = graph if isinstance(graph, list | tuple) else [graph]
    for name, value in {**{name: value for name, value in asked.items() if value is not None}, **given}.items():
        if not any(takes(each, name) for each in graphs):
            check_graph_options(graphs[0], {name: value})
    for name in asked:
        if name in given:
            raise TypeError(
                f"graph_options may not hold {name!r}, which the model has a keyword for: {name}={given[name]!r}"
            )
    return given
