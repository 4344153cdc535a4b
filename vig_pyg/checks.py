"""What arguments may be. Anything else is refused in one sentence that names the argument and its value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import torch


def check_whole(least: int = 1, /, **numbers: object) -> None:
    """Refuse what is not a whole number of at least ``least``."""
    for name, number in numbers.items():
        if not isinstance(number, Integral) or isinstance(number, bool):
            raise TypeError(f"{name} must be a whole number, got {_shown(number)}")
        if number < least:
            raise ValueError(f"{name} must be at least {least}, got {number}")


def check_whole_lists(**lists: object) -> None:
    """Refuse what is not a list of whole numbers of at least one."""
    for name, numbers in lists.items():
        if not isinstance(numbers, Sequence) or isinstance(numbers, str):
            raise TypeError(f"{name} must be a list of whole numbers, got {_shown(numbers)}")
        for number in numbers:
            check_whole(**{f"every number of {name}": number})


def check_flags(**flags: object) -> None:
    """Refuse what is neither True nor False."""
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise TypeError(f"{name} must be True or False, got {_shown(flag)}")


def check_shares(**shares: object) -> None:
    """Refuse what is not a number between 0 and 1: a probability or a share."""
    for name, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, int | float):
            raise TypeError(f"{name} must be a number, got {_shown(share)}")
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is a probability between 0 and 1, got {share}")


def check_positive(**numbers: object) -> None:
    """Refuse what is not a finite number above zero."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise TypeError(f"{name} must be a number, got {_shown(number)}")
        if not 0 < number < math.inf:
            raise ValueError(f"{name} must be a finite number above 0, got {number}")


def check_kind(what: str, kind: Any, /, **values: object) -> None:
    """Refuse what is not of a kind, ``what`` in words."""
    for name, value in values.items():
        if not isinstance(value, kind):
            raise TypeError(f"{name} must be {what}, got {_shown(value)}")


def check_size(**sizes: object) -> None:
    """Refuse what is neither a whole number of at least one nor a pair ``(height, width)`` of them."""
    for name, size in sizes.items():
        if not isinstance(size, Sequence) or isinstance(size, str):
            check_whole(**{name: size})
            continue
        if len(size) != 2:
            raise ValueError(f"{name} must be one number or a pair (height, width), got {_shown(size)}")
        check_whole_lists(**{name: size})


def known_device(device: torch.device | str) -> torch.device:
    """Return the device of a name; refuse, by a TypeError or ValueError, what is none."""
    check_kind("the name of a device", torch.device | str, device=device)
    try:
        return torch.device(device)
    except RuntimeError:
        raise ValueError(f"device must be cpu, cuda, cuda:0 or the like, got {device!r}") from None


@contextmanager
def refused(sentence: str) -> Iterator[None]:
    """Turn whatever others raise of what does not fit into a ValueError: a sentence with their reason."""
    try:
        yield
    except (ValueError, FileNotFoundError):
        raise
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{sentence}: {reason}") from error


def _shown(value: object) -> str:
    """Return a value, where it is short, or its type."""
    shown = repr(value)
    return shown if len(shown) <= 80 and "\n" not in shown else type(value).__name__
