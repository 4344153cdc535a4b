"""The options that several commands take."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from vig_pyg.checks import known_device
from vig_pyg.data.images import LARGEST_IMAGE, LIMIT, limit_pixels

LARGEST_BATCH = 10**7


def from_this_folder(given: Any) -> Any:
    """Let ``module:Name`` mean a file in the working folder: the callback of parameters that allow to import one."""
    words = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    if given is True or any(re.search(r"(^|(conv|graph|task)=)[\w.]+:\w+$", word) for word in words):
        sys.path.insert(0, os.getcwd())
    return given


def not_empty(places: list[str]) -> list[str]:
    """Refuse a place without a name, which would be the working folder: a callback of parameters."""
    if "" in places:
        raise typer.BadParameter("'' names nothing: give files, folders or patterns")
    return places


def plug(help: str) -> Any:
    """Return an option that takes words which may import a module."""
    return typer.Option(help=help, callback=from_this_folder)


def side(help: str) -> Any:
    """Return an option that takes the side of images."""
    return typer.Option(min=1, max=LARGEST_IMAGE, help=help)


def limited(pixels: int) -> int:
    """Limit images before any is opened: the callback of ``--max-pixels``."""
    limit_pixels(pixels)
    return pixels


Images = Annotated[
    list[str], typer.Argument(help="Files, folders or patterns such as 'photos/*.jpg'.", callback=not_empty)
]
Weights = Annotated[Path, typer.Argument(help="The folder of a run or of weights, or a file.")]
Architecture = Annotated[str | None, typer.Option(help="The model, where the weights do not say it.")]
Batch = Annotated[int, typer.Option(min=1, max=LARGEST_BATCH, help="Images or graphs at once.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, … (default: a GPU where there is one)")]
MaxPixels = Annotated[
    int,
    typer.Option(min=1, envvar=LIMIT, help="The most pixels of an image, in its file and resized.", callback=limited),
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Import what a file names as module:Name.", callback=from_this_folder)
]


def usable_device(device: str | None) -> str:
    """Return the device that is asked for, without any a GPU where there is one.

    Raises:
        ValueError: it is unknown, absent or not for computing, such as ``meta``; names the device.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    place = known_device(device)
    try:
        if place.type == "meta":
            raise RuntimeError("it holds no values")
        if place.type == "cpu" and place.index:
            raise RuntimeError("there is only one")
        torch.zeros(1, device=place).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {device!r} cannot be used here ({reason}); try cpu") from None
    return device


def asked(**options: Any) -> dict[str, Any]:
    """Return the options that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def assignments(**options: Any) -> list[str]:
    """Return options that are not None as changes of a recipe, ``key=value``."""
    return [f"{name}={value}" for name, value in asked(**options).items()]
