"""Operators by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import nn

from vig_pyg.checks import check_whole
from vig_pyg.registry import Registry, parameters

ConvFactory = Callable[..., nn.Module]
Registered = TypeVar("Registered", bound=ConvFactory)

SHARED_OPTIONS = ("heads", "norm", "act")

CONVS: Registry = Registry("operator", "conv")


def register_conv(name: str, *aliases: str) -> Callable[[Registered], Registered]:
    """Register the decorated class or factory ``(in_channels, out_channels, **options)`` as ``conv=name``.

    The options are ``heads``, ``norm`` and ``act``; a factory gets those that it names. An operator with the attribute
    ``complete = True`` normalizes and activates itself and accepts ``(x_source, x_target)``, as ours do. Every other
    is completed where a model uses it: by a norm and an activation after it, and in a bipartite graph by joining both
    sets of nodes into one. One whose ``forward`` names ``edge_weight``, ``edge_attr``, ``pos`` or ``k`` gets it from
    the graph, where that has it.

    Example::

        @register_conv("mean")
        class MeanConv(MessagePassing):
            def __init__(self, in_channels, out_channels):
                super().__init__(aggr="mean")
                self.linear = torch.nn.Linear(in_channels, out_channels)

            def forward(self, x, edge_index):
                return self.linear(self.propagate(edge_index, x=x))

    Raises:
        ValueError: the name is taken by something else.
    """
    return CONVS.register(name, *aliases)


def list_convs() -> list[str]:
    """Return the names of all registered operators."""
    return CONVS.names()


def get_conv(conv: str | ConvFactory) -> ConvFactory:
    """Return the factory of a registered name, of ``"module:Name"`` in any importable module, or the factory given.

    Raises:
        ValueError: no operator has that name; the sentence lists the known ones and the nearest.
        TypeError: it is neither name nor factory.
    """
    found = CONVS.find(conv) if isinstance(conv, str) else conv
    if not callable(found) or isinstance(found, nn.Module):
        what = f"a {type(found).__name__} that is built already" if isinstance(found, nn.Module) else repr(found)
        raise TypeError(f"an operator must be a name, a class or a factory (in_channels, out_channels), got {what}")
    return found


def options_of(conv: str | ConvFactory, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some options that an operator names."""
    known = parameters(get_conv(conv))
    return {name: value for name, value in options.items() if name in known}


def build_conv(conv: str | ConvFactory, in_channels: int, out_channels: int, **options: Any) -> nn.Module:
    """Build an operator by its name, ``"module:Name"`` or factory.

    Of ``heads``, ``norm`` and ``act`` it gets those that it names.

    Raises:
        ValueError: no operator has that name, or a width is below one.
        TypeError: it has no such option, a width is no whole number, or is neither name nor factory.
    """
    factory = get_conv(conv)
    CONVS.check_options(conv, factory, (name for name in options if name not in SHARED_OPTIONS))
    check_whole(in_channels=in_channels, out_channels=out_channels, heads=options.get("heads", 1))
    return factory(in_channels, out_channels, **options_of(factory, options))
