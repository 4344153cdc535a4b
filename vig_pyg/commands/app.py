"""What all commands share: the application, its console, and how it fails."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vig_pyg.data.images import LIMIT, limit_pixels
from vig_pyg.train.fit import Interrupted

WRONG_PLACES = (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console(highlight=False, markup=False, emoji=False)  # names hold what they like: color is a style


@app.callback()
def about() -> None:
    """Graph neural networks on images: train, evaluate, predict, compare."""
    logging.basicConfig(level=logging.ERROR, handlers=[RichHandler(console=console, show_path=False, show_time=False)])
    logging.getLogger("vig_pyg").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"(torch(_geometric|metrics)?\.|copyreg)")


def from_this_folder(given: Any) -> Any:
    """Let ``module:Name`` mean a file in the working folder: the callback of parameters that allow to import one."""
    words = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    if given is True or any(re.search(r"(^|conv=)[\w.]+:\w+$", word) for word in words):
        sys.path.insert(0, os.getcwd())
    return given


Trust = Annotated[
    bool,
    typer.Option("--trust", help="Import an operator that a file names as module:Name.", callback=from_this_folder),
]


def limited(pixels: int) -> int:
    """Limit images before any is opened: the callback of ``--max-pixels``."""
    limit_pixels(pixels)
    return pixels


MaxPixels = Annotated[
    int,
    typer.Option(min=1, envvar=LIMIT, help="The most pixels of an image, in its file and resized.", callback=limited),
]


@contextmanager
def plain_errors() -> Iterator[None]:
    """Say what is wrong in one sentence: exit status 2 for wrong input, 1 for a failure on the way, 130 for Ctrl-C."""
    try:
        yield
    except Interrupted as stop:
        console.print(f"Interrupted: {stop}.")
        raise typer.Exit(130) from None
    except KeyboardInterrupt:
        console.print("Interrupted.")
        raise typer.Exit(130) from None
    except (ValueError, TypeError, ModuleNotFoundError, *WRONG_PLACES) as error:
        _say(error)
        raise typer.Exit(2) from None
    except (OSError, FloatingPointError) as error:
        _say(error)
        raise typer.Exit(1) from None


def _say(error: Exception) -> None:
    console.print("Error:", style="red", end=" ")
    console.print(str(error) or type(error).__name__)


def check_device(device: str) -> None:
    """Refuse a device that is unknown, absent or not for computing, such as ``meta``.

    Raises:
        ValueError: names the device.
    """
    try:
        place = torch.device(device)
        torch.zeros(1, device=place).item()  # meta holds no values
        if place.type == "cpu" and place.index:
            raise RuntimeError("there is only one")
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {device!r} cannot be used here ({reason}); try cpu") from None


def default_device() -> str:
    """Return the device to use where none is asked for."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def progress_bar(quiet: bool = False) -> Progress:
    """Return bars with counts, the time left and a note."""
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, TextColumn("{task.fields[note]}", markup=False), console=console, disable=quiet)
