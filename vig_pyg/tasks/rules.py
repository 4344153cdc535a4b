"""What the keys of a recipe may be: their types and ranges."""

from __future__ import annotations

import math
from dataclasses import Field, field
from typing import Any, NamedTuple, get_args, get_origin

from vig_pyg.data.images import LARGEST_IMAGE


class Rule(NamedTuple):
    """What a key of a recipe may be: numbers (each of a list) from ``low`` to ``high``, or one of ``words``."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    """Whether ``low`` itself is too small."""
    words: tuple[str, ...] = ()

    def violation(self, value: Any) -> str | None:
        """Return what would be right, where the value is not."""
        if self.words and value not in self.words:
            return f"one of {', '.join(self.words)}"
        for number in value if isinstance(value, list) else [value]:
            if not isinstance(number, int | float) or (self.low < number <= self.high):
                continue
            if number == self.low and not self.above:
                continue
            if (self.low, self.high) == (0, 1):
                return "above 0 and at most 1" if self.above else "between 0 and 1"
            if number > self.high:
                return f"at most {self.high:g}"
            return f"above {self.low:g}" if self.above else f"at least {self.low:g}"
        return None


def key(default: Any, low: float = -math.inf, high: float = math.inf, **rule: Any) -> Any:
    """Return a field of a recipe with its rule."""
    metadata = {"rule": Rule(low, high, **rule)}
    if isinstance(default, list | dict):
        return field(default_factory=type(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def rule_of(each: Field) -> Rule:
    """Return the rule of a field."""
    return each.metadata.get("rule", Rule())


def require(right: bool, name: str, value: Any, wanted: str) -> None:
    """Refuse a value.

    Raises:
        ValueError: it is not right; names the key, the value and what is wanted.
    """
    if not right:
        raise ValueError(f"{name} must be {wanted}, got {value!r}")


def check_type(name: str, value: Any, kind: Any) -> None:
    """Refuse a value of another type than ``kind``."""
    require(_is(value, kind), name, value, _described(kind))


def check_range(each: Field, value: Any) -> None:
    """Refuse a value that the field's rule excludes."""
    if each.name == "image_size" and value is not None and value > LARGEST_IMAGE:
        raise ValueError(f"image_size={value} needs {12 * value**2 / 1e9:,.0f} GB for a single image: lower it")
    wanted = None if value is None else rule_of(each).violation(value)
    require(wanted is None, each.name, value, wanted or "")


def _is(value: Any, kind: Any) -> bool:
    """Return whether a value has a type; whole numbers are floats too, numbers that are not finite are none."""
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_is(each, get_args(kind)[0]) for each in value)
    if get_origin(kind) is dict:
        return isinstance(value, dict)
    if get_args(kind):
        return any(_is(value, each) for each in get_args(kind))
    if kind is float:
        return _is(value, int) or (isinstance(value, float) and math.isfinite(value))
    return type(value) is kind


def _described(kind: Any) -> str:
    names = {int: "a whole number", float: "a finite number", str: "text", bool: "true or false", type(None): "null"}
    if get_origin(kind) is list:
        return "a list of whole numbers"
    parts = [kind] if not get_args(kind) or get_origin(kind) is dict else get_args(kind)
    return " or ".join(names.get(part, "a mapping") for part in parts)
