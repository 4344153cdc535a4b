"""What users plug in by one word: operators and graphs, each found by name, as ``"module:Name"``, or as it is."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Container, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

Factory = Callable[..., Any]
Entry = TypeVar("Entry", bound=Factory)

# The options that take such words, and what they name.
KEYWORDS = {"conv": "operator", "graph": "graph", "task": "task"}


class Registry(Generic[Entry]):
    """Factories of ``what``, such as ``"operator"``, by name, for the option ``keyword``, such as ``"conv"``."""

    def __init__(self, what: str, keyword: str) -> None:
        self.what, self.keyword = what, keyword
        self.factories: dict[str, Entry] = {}
        self.aliases: dict[str, str] = {}

    def register(self, name: str, *aliases: str) -> Callable[[Entry], Entry]:
        """Return a decorator that registers a factory; refuse, by a ValueError, a name that is no word or is taken."""
        for word in (name, *aliases):
            if not isinstance(word, str) or not word or ":" in word:
                raise ValueError(
                    f"the name of {_a(self.what)} must be a word without ':', got {word!r}: "
                    f'@register_{self.keyword}("name")'
                )

        def decorate(factory: Entry) -> Entry:
            if not callable(factory):
                raise TypeError(f"{_a(self.what)} must be a class or a function, got {factory!r}")
            for word in (name, *aliases):
                known = self.factories.get(self.aliases.get(word, word))
                if known is not None and _identity(known) != _identity(factory):
                    raise ValueError(f"the name {word!r} is taken by {known!r}: choose another")
            self.factories[name] = factory
            self.aliases.update(dict.fromkeys(aliases, name))
            return factory

        return decorate

    def names(self) -> list[str]:
        """Return all names, without aliases."""
        return sorted(self.factories)

    def find(self, word: str) -> Any:
        """Return what a name or ``"module:Name"`` stands for.

        Raises:
            ValueError: nothing has that name; the sentence lists the known ones and the nearest.
        """
        if ":" in word:
            return _imported(self.keyword, word)
        name = self.aliases.get(word, word)
        if name not in self.factories:
            hint = nearest(word, [*self.factories, *self.aliases])
            raise ValueError(f"no {self.what} is called {word!r}{hint}; known are {', '.join(self.names())}")
        return self.factories[name]

    def check_options(self, word: object, factory: Factory, options: Iterable[str]) -> None:
        """Refuse options that a factory does not name, by a TypeError with the nearest that there is."""
        known = parameters(factory)
        for name in options:
            if name not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                hint = nearest(name, known)
                raise TypeError(f"the {self.what} {word!r} has no option {name!r}{hint}; {has}")


def parameters(factory: Factory) -> list[str]:
    """Return the names of what a class or function takes."""
    known = inspect.signature(factory).parameters.values()
    return [each.name for each in known if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint at the known word that is nearest to another, empty where none is near."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""


def refuse_imports(options: Mapping[str, Any], source: object, trusted: Container[str] = ()) -> None:
    """Refuse a ``"module:Name"`` that a file holds: whoever wrote the file would choose what is executed.

    The ValueError quotes it. ``conv``, ``graph`` and ``task`` may be at any depth; what the user gave as well is
    ``trusted``.
    """
    for key, value in options.items():
        for inner in value if isinstance(value, list | tuple) else [value]:
            if isinstance(inner, Mapping):
                refuse_imports(inner, source, trusted)
            elif key in KEYWORDS and isinstance(inner, str) and ":" in inner and inner not in trusted:
                raise ValueError(
                    f"{source} names the {KEYWORDS[key]} {inner!r}, whose module would be imported and executed: "
                    "if you trust it, add --trust (in Python trust=True)"
                )


def refuse_saved_import(options: Mapping[str, Any]) -> None:
    """Refuse, by a ValueError, a ``"module:Name"`` that timm read from a file, unless that module was imported."""
    saved = options.get("pretrained_model_args") or {}
    for key, what in KEYWORDS.items():
        word = saved.get(key)
        if isinstance(word, str) and ":" in word and word.partition(":")[0] not in sys.modules:
            raise ValueError(
                f"the weights' config.json names the {what} {word!r}: if you trust it, import its module first"
            )


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _identity(factory: Factory) -> tuple[str, str]:
    # A notebook cell run twice defines its operator anew under the same name: that is no clash.
    name = getattr(factory, "__qualname__", "<lambda>")
    return getattr(factory, "__module__", ""), repr(factory) if "<lambda>" in name else name


def _imported(keyword: str, path: str) -> Any:
    module_name, _, name = path.partition(":")
    if not (module_name and name):
        raise ValueError(f"{keyword}={path!r} must name a module and what is in it, as 'module:Name'")
    try:
        return getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        if error.name and module_name.startswith(error.name):
            raise ValueError(f"{keyword}={path!r}: no module {module_name!r} can be imported from here") from None
        raise
    except AttributeError:
        raise ValueError(f"{keyword}={path!r}: the module {module_name!r} has no {name!r}") from None
