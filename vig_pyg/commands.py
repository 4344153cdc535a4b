"""What the command ``vig-pyg`` can do: a thin layer of options, progress bars and tables."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from vig_pyg.study.demo import OPERATORS, Row, run_demo
from vig_pyg.train import Epoch

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Graph neural networks on images.")
console = Console()


@app.callback()
def about() -> None:
    """Graph neural networks on images."""


@app.command()
def demo(
    conv: Annotated[list[str], typer.Option(help="Operator: a name or module:Name. Repeat for several.")] = OPERATORS,  # type: ignore[assignment]
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 6,
    seeds: Annotated[int, typer.Option(help="Runs per operator.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for pictures, report and numbers.")] = Path("runs/demo"),
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …")] = "cpu",
) -> None:
    """Train a small ViG on handwritten digits with every operator, and compare them."""
    sys.path.insert(0, os.getcwd())  # --conv mymodule:MyConv means a file in this folder
    convs = list(dict.fromkeys(conv))
    console.print(
        f"Trains vig_micro on scikit-learn's digits: {', '.join(convs)}; {epochs} epochs, {seeds} seed(s) each. "
        "Ctrl-C stops and keeps what is finished."
    )
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    try:
        check_device(device)
        with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as progress:
            total = progress.add_task("all runs", total=len(convs) * epochs * seeds, note="")
            bars = {name: progress.add_task(name, total=epochs * seeds, note="") for name in convs}

            def advance(name: str, seed: int, epoch: Epoch) -> None:
                note = f"seed {seed}: loss {epoch.loss:.3f}, accuracy {100 * epoch.accuracy:.2f} %"
                progress.update(bars[name], advance=1, note=note)
                progress.update(total, advance=1)

            rows = run_demo(out, convs, epochs, seeds, device, advance)
    except (ValueError, TypeError, OSError) as error:
        console.print(f"[red]Error:[/] {error}", highlight=False)
        raise typer.Exit(2) from None
    if not rows:
        console.print("Interrupted before the first run was finished: nothing to show.")
        raise typer.Exit(130)
    console.print(as_table(rows))
    console.print(f"Written to {out}: report.html, curves.png, photograph.png, digit.png, results.json")
    if sum(row.seeds for row in rows) < len(convs) * seeds:
        raise typer.Exit(130)


def check_device(device: str) -> None:
    """Raise ValueError where a device is unknown or absent."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {device!r} cannot be used here ({reason}); try cpu") from None


def as_table(rows: Sequence[Row]) -> Table:
    """Return the comparison for the screen."""
    table = Table("operator", title="vig_micro on handwritten digits")
    for title in ("parameters", "MACs", "ms per image", "test accuracy"):
        table.add_column(title, justify="right")
    for row in rows:
        accuracy = f"{100 * row.accuracy:.2f} %" + (f" ± {100 * row.spread:.2f}" if row.seeds > 1 else "")
        table.add_row(row.conv, f"{row.parameters:,}", f"{row.macs / 1e6:.2f} M", f"{row.ms_per_image:.3f}", accuracy)
    return table
