"""What all commands share: the application, its console, and how it fails."""

from __future__ import annotations

import errno
import logging
import warnings
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from typer.core import TyperGroup

from vig_pyg.train.run import TrainingError

WRONG_PLACES = (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)
# What is said in one sentence; torch's own errors are all of the last kind.
SAID = (ValueError, TypeError, ModuleNotFoundError, OSError, FloatingPointError, MemoryError, RuntimeError)
WRONG_NAMES = (errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS, errno.EINVAL, errno.ENXIO, errno.ENODEV)
DEBUG: ContextVar[bool] = ContextVar("debug", default=False)  # of the command that runs
console = Console(highlight=False, markup=False, emoji=False)  # names hold what they like: color is a style


class PlainGroup(TyperGroup):
    """Commands that say what is wrong in one sentence, or with ``vig-pyg --debug`` show its traceback.

    The exit status is 2 for wrong input, 1 for a failure on the way, 130 for Ctrl-C.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):  # RuntimeErrors that are none
            raise
        except SAID as error:
            if DEBUG.get():
                raise
            _say(error)
            raise typer.Exit(_status(error)) from None
        except KeyboardInterrupt as stop:
            console.print(f"Interrupted: {stop}." if str(stop) else "Interrupted.")
            raise typer.Exit(130) from None


app = typer.Typer(cls=PlainGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def about(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of what goes wrong.")] = False,
) -> None:
    """Graph neural networks on images: train, evaluate, predict, compare."""
    DEBUG.set(debug)
    logging.basicConfig(level=logging.ERROR, handlers=[RichHandler(console=console, show_path=False, show_time=False)])
    logging.getLogger("vig_pyg").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"(torch(_geometric|metrics|vision)?\.|copyreg)")


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


def progress_bar(quiet: bool = False) -> Progress:
    """Return bars with counts, the time left and a note."""
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, TextColumn("{task.fields[note]}", markup=False), console=console, disable=quiet)


def table_of(rows: Sequence[Sequence[str]], title: str | None = None, words: bool = False) -> Table:
    """Return a table of rows, the names of the columns first; all but the first hold numbers, or words."""
    table = Table(rows[0][0], title=title)
    for name in rows[0][1:]:
        table.add_column(name, justify="left" if words or len(rows[0]) == 2 else "right")
    for row in rows[1:]:
        table.add_row(*row)
    return table
