"""What all commands share: the application, its console, and how it fails."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from vig_pyg.checks import known_device
from vig_pyg.data.images import LIMIT, limit_pixels
from vig_pyg.train.run import Interrupted, TrainingError

WRONG_PLACES = (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)
# What is said in one sentence; torch's own errors are all of the last kind.
SAID = (ValueError, TypeError, ModuleNotFoundError, OSError, FloatingPointError, MemoryError, RuntimeError)
WRONG_NAMES = (errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS, errno.EINVAL, errno.ENXIO, errno.ENODEV)
LARGEST_BATCH = 10**7
DEBUG: ContextVar[bool] = ContextVar("debug", default=False)  # of the command that runs

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console(highlight=False, markup=False, emoji=False)  # names hold what they like: color is a style


@app.callback()
def about(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of what goes wrong.")] = False,
) -> None:
    """Graph neural networks on images: train, evaluate, predict, compare."""
    DEBUG.set(debug)
    logging.basicConfig(level=logging.ERROR, handlers=[RichHandler(console=console, show_path=False, show_time=False)])
    logging.getLogger("vig_pyg").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"(torch(_geometric|metrics|vision)?\.|copyreg)")


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


Images = Annotated[
    list[str], typer.Argument(help="Files, folders or patterns such as 'photos/*.jpg'.", callback=not_empty)
]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Import what a file names as module:Name.", callback=from_this_folder),
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
    """Say what is wrong in one sentence: exit status 2 for wrong input, 1 for a failure on the way, 130 for Ctrl-C.

    With ``vig-pyg --debug``, errors show their tracebacks instead.
    """
    try:
        yield
    except SAID as error:
        if DEBUG.get():
            raise
        _say(error)
        raise typer.Exit(_status(error)) from None
    except Interrupted as stop:
        console.print(f"Interrupted: {stop}.")
        raise typer.Exit(130) from None
    except KeyboardInterrupt:
        console.print("Interrupted.")
        raise typer.Exit(130) from None


def _status(error: Exception) -> int:
    """Return 2 for wrong input and 1 for a failure on the way."""
    if isinstance(error, TrainingError):
        return 1
    wrong = isinstance(error, (ValueError, TypeError, ModuleNotFoundError, *WRONG_PLACES))
    return 2 if wrong or getattr(error, "errno", None) in WRONG_NAMES else 1


def _say(error: Exception) -> None:
    """Print one sentence; an operating system's error as a place and what is wrong with it, in its own words."""
    sentence = (str(error) or type(error).__name__).splitlines()[0]
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        sentence = f"{str(error.filename)!r} cannot be used: {error.strerror}"
    console.print("Error:", style="red", end=" ")
    console.print(sentence)


def check_device(device: str) -> None:
    """Refuse a device that is unknown, absent or not for computing, such as ``meta``.

    Raises:
        ValueError: names the device.
    """
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


def default_device() -> str:
    """Return the device to use where none is asked for."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def progress_bar(quiet: bool = False) -> Progress:
    """Return bars with counts, the time left and a note."""
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, TextColumn("{task.fields[note]}", markup=False), console=console, disable=quiet)


def print_rows(rows: Sequence[Sequence[str]]) -> None:
    """Print a table, its titles first; without rows, nothing."""
    if rows:
        table = Table(rows[0][0])
        for title in rows[0][1:]:
            table.add_column(title, justify="left" if len(rows[0]) == 2 else "right")
        for row in rows[1:]:
            table.add_row(*row)
        console.print(table)
