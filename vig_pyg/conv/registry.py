"""Operators by name."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Container, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from torch import nn

ConvFactory = Callable[..., nn.Module]
Registered = TypeVar("Registered", bound=ConvFactory)

SHARED_OPTIONS = ("heads", "norm", "act")

_factories: dict[str, ConvFactory] = {}
_aliases: dict[str, str] = {}


def register_conv(name: str, *aliases: str) -> Callable[[Registered], Registered]:
    """Register the decorated class or factory ``(in_channels, out_channels, **options)`` as ``conv=name``.

    The options are ``heads``, ``norm`` and ``act``; a factory gets those that it names. One that names ``norm``
    and ``act`` is taken to normalise and activate itself and to accept ``(x_source, x_target)``, as ours do. Every
    other is completed where a model uses it: by a norm and an activation behind it, and in a bipartite graph by
    joining both sets of nodes into one.

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

    for word in (name, *aliases):
        if not isinstance(word, str) or ":" in word:
            raise ValueError(
                f"the name of an operator must be a word without ':', got {word!r}: @register_conv(\"name\")"
            )

    def decorate(factory: Registered) -> Registered:
        for word in (name, *aliases):
            known = _factories.get(_aliases.get(word, word))
            if known is not None and _identity(known) != _identity(factory):
                raise ValueError(f"the name {word!r} is taken by {known!r}: choose another")
        _factories[name] = factory
        _aliases.update(dict.fromkeys(aliases, name))
        return factory

    return decorate


def list_convs() -> list[str]:
    """Return the names of all registered operators."""
    return sorted(_factories)


def get_conv(conv: str | ConvFactory) -> ConvFactory:
    """Return the factory of a registered name, of ``"module:Name"`` in any importable module, or the factory given.

    Raises:
        ValueError: no operator has that name; the sentence lists the known ones and the nearest.
    """
    if not isinstance(conv, str):
        return _check_factory(conv)
    if ":" in conv:
        return _import_factory(conv)
    name = _aliases.get(conv, conv)
    if name not in _factories:
        near = get_close_matches(conv, [*_factories, *_aliases], n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"no operator is called {conv!r}{hint}; known are {', '.join(list_convs())}")
    return _factories[name]


def refuse_imports(options: Mapping[str, Any], source: object, trusted: Container[str] = ()) -> None:
    """Refuse an operator that a file names as ``"module:Name"``: whoever wrote the file would choose what is executed.

    Args:
        options: What the file holds; operators stand under ``conv`` at any depth.
        source: The file.
        trusted: Names that the user gave as well.

    Raises:
        ValueError: names the operator.
    """
    for key, value in options.items():
        for inner in value if isinstance(value, list | tuple) else [value]:
            if isinstance(inner, Mapping):
                refuse_imports(inner, source, trusted)
            elif key == "conv" and isinstance(inner, str) and ":" in inner and inner not in trusted:
                raise ValueError(
                    f"{source} names the operator {inner!r}, whose module would be imported and executed: if you trust "
                    "it, add --trust (in Python trust=True)"
                )


def refuse_saved_import(options: Mapping[str, Any]) -> None:
    """Refuse an operator ``"module:Name"`` that timm read from a configuration, unless its module is imported already.

    Args:
        options: What timm calls the constructor of a model with.

    Raises:
        ValueError: names the operator.
    """
    conv = (options.get("pretrained_model_args") or {}).get("conv")
    if isinstance(conv, str) and ":" in conv and conv.partition(":")[0] not in sys.modules:
        raise ValueError(
            f"the weights' config.json names the operator {conv!r}: if you trust it, import its module first"
        )


def build_conv(conv: str | ConvFactory, in_channels: int, out_channels: int, **options: Any) -> nn.Module:
    """Build an operator by its name, ``"module:Name"`` or factory.

    Of ``heads``, ``norm`` and ``act`` it gets those that it names.

    Raises:
        ValueError: no operator has that name.
        TypeError: it has no such option, or is neither name nor factory.
    """
    factory = get_conv(conv)
    for name in options:
        if name not in SHARED_OPTIONS and name not in _options(factory):
            raise TypeError(f"the operator {conv!r} has no option {name!r}; it has {', '.join(_options(factory))}")
    return factory(in_channels, out_channels, **{n: v for n, v in options.items() if n in _options(factory)})


def is_complete(conv: str | ConvFactory) -> bool:
    """Return whether an operator normalises and activates itself: see :func:`register_conv`."""
    return {"norm", "act"} <= _options(get_conv(conv))


def _check_factory(conv: Any) -> ConvFactory:
    if not callable(conv) or isinstance(conv, nn.Module):
        what = f"a {type(conv).__name__} that is built already" if isinstance(conv, nn.Module) else repr(conv)
        raise TypeError(f"an operator must be a name, a class or a factory (in_channels, out_channels), got {what}")
    return conv


def _options(factory: ConvFactory) -> set[str]:
    return set(inspect.signature(factory).parameters)


def _identity(factory: ConvFactory) -> tuple[str, str]:
    # A notebook cell run twice defines its operator anew under the same name: that is no clash.
    name = getattr(factory, "__qualname__", "<lambda>")
    return getattr(factory, "__module__", ""), repr(factory) if "<lambda>" in name else name


def _import_factory(path: str) -> ConvFactory:
    module_name, _, name = path.partition(":")
    if not (module_name and name):
        raise ValueError(f"conv={path!r} must name a module and what is in it, as 'module:Name'")
    try:
        return _check_factory(getattr(importlib.import_module(module_name), name))
    except ModuleNotFoundError as error:
        if error.name and module_name.startswith(error.name):
            raise ValueError(f"conv={path!r}: no module {module_name!r} can be imported from here") from None
        raise
    except AttributeError:
        raise ValueError(f"conv={path!r}: the module {module_name!r} has no {name!r}") from None
