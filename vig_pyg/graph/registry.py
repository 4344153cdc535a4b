"""Graphs by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from torch import nn

from vig_pyg.graph.protocol import Edges, Graph, Layouts, Nodes
from vig_pyg.registry import Registry, parameters

GraphLike: TypeAlias = str | Callable[..., Any]
Registered = TypeVar("Registered", bound=Callable[..., Any])

# What a model tells all graphs; each takes what it names.
SHARED_OPTIONS = ("k", "dilation", "step", "block", "position", "stochastic", "epsilon")

GRAPHS: Registry = Registry("graph", "graph")


def register_graph(name: str, *aliases: str) -> Callable[[Registered], Registered]:
    """Register the decorated class, factory or function as ``graph=name``.

    A class or factory ``(k, dilation, **options)`` makes a graph and is called once per block; a function that names
    ``layout`` *is* one, ``(x, layout, k, dilation, **options)``. Of ``k``, ``dilation`` and options each gets those
    that it names. What a graph takes and returns is said in :mod:`vig_pyg.graph.protocol`.

    Example::

        @register_graph("row")
        def row(x, layout, k=9):
            '''Link every node to the k nearest of its row.'''
            pos = layout.pos() * torch.tensor([1, 1e3])  # rows are far from each other
            return vig_pyg.knn_graph(pos, k, layout.batch(), loop=True)

    Raises:
        ValueError: the name is taken by something else.
    """
    return GRAPHS.register(name, *aliases)


def list_graphs() -> list[str]:
    """Return the names of all registered graphs."""
    return GRAPHS.names()


def get_graph(graph: GraphLike) -> Callable[..., Any]:
    """Return what a registered name or ``"module:Name"`` stands for, or the class, factory, function or module given.

    Raises:
        ValueError: no graph has that name; the sentence lists the known ones and the nearest.
        TypeError: it is neither name nor callable.
    """
    found = GRAPHS.find(graph) if isinstance(graph, str) else graph
    if not callable(found):
        raise TypeError(f"a graph must be a name, a class, a factory, a function or a module, got {found!r}")
    return found


def build_graph(graph: GraphLike, k: int = 9, dilation: int = 1, **options: Any) -> nn.Module:
    """Build a graph by its name, ``"module:Name"``, class, factory or function; a module is returned as it is.

    Args:
        graph: Which one.
        k: Neighbors of every node, where the graph has a use for it.
        dilation: Keep every ``dilation``-th of the ``k·dilation`` nearest, likewise.
        options: What the graph names. ``position``, ``stochastic`` and ``epsilon``, which models tell all graphs, may
            be left unused.

    Raises:
        ValueError: no graph has that name.
        TypeError: it has no such option, or is no graph.
    """
    found = get_graph(graph)
    check_graph_options(graph, {name: value for name, value in options.items() if name not in SHARED_OPTIONS})
    if isinstance(found, nn.Module):
        return found
    known = parameters(found)
    given = {name: v for name, v in {"k": k, "dilation": dilation, **options}.items() if name in known}
    if "layout" in known:
        return FunctionGraph(found, given)
    built = found(**given)
    if not callable(built):
        raise TypeError(f"the graph {graph!r} must make something to be called with nodes and layout, got {built!r}")
    return built if isinstance(built, nn.Module) else FunctionGraph(built, {})


def takes(graph: GraphLike, option: str) -> bool:
    """Return whether a graph has an option; one that is built already has none."""
    found = get_graph(graph)
    return not isinstance(found, nn.Module) and option in parameters(found)


def check_graph_options(graph: GraphLike, options: Mapping[str, Any]) -> None:
    """Refuse options that a graph does not have.

    Raises:
        TypeError: names the first.
    """
    found = get_graph(graph)
    if not isinstance(found, nn.Module):
        GRAPHS.check_options(graph, found, options)
    elif options:
        raise TypeError(f"{type(found).__name__} is built already: give {next(iter(options))!r} where it is built")


class FunctionGraph(Graph):
    """A function that is called with nodes, layout and some options.

    Args:
        function: Called ``function(x, layout, **options)``.
        options: Such as ``k``.
    """

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        super().__init__()
        self.function, self.options = function, dict(options)
        for name in {"k", "dilation"}.intersection(options):
            setattr(self, name, options[name])

    def forward(self, x: Nodes, layout: Layouts) -> Edges | Any:
        """Return the edges."""
        return self.function(x, layout, **self.options)

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows."""
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return ", ".join([name, *(f"{key}={value}" for key, value in self.options.items())])
