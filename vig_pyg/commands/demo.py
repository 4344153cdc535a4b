"""``vig-pyg demo``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from vig_pyg.commands.app import app, check_device, console, from_this_folder, plain_errors, progress_bar
from vig_pyg.study.demo import OPERATORS, Row, run_demo
from vig_pyg.train import Epoch


@app.command()
def demo(
    conv: Annotated[
        list[str], typer.Option(help="Operator: a name or module:Name. Repeat for several.", callback=from_this_folder)
    ] = OPERATORS,  # type: ignore[assignment]
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 6,
    seeds: Annotated[int, typer.Option(help="Runs per operator.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for pictures, report and numbers.")] = Path("runs/demo"),
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …")] = "cpu",
) -> None:
    """Train a small ViG on handwritten digits with every operator, and compare them."""
    convs = list(dict.fromkeys(conv))
    console.print(
        f"Trains vig_micro on scikit-learn's digits: {', '.join(convs)}; {epochs} epochs, {seeds} seed(s) each. "
        "Ctrl-C stops and keeps what is finished."
    )
    with plain_errors():
        check_device(device)
        with progress_bar() as progress:
            total = progress.add_task("all runs", total=len(convs) * epochs * seeds, note="")
            bars = {name: progress.add_task(name, total=epochs * seeds, note="") for name in convs}

            def advance(name: str, seed: int, epoch: Epoch) -> None:
                note = f"seed {seed}: loss {epoch.loss:.3f}, accuracy {100 * epoch.accuracy:.2f} %"
                progress.update(bars[name], advance=1, note=note)
                progress.update(total, advance=1)

            rows = run_demo(out, convs, epochs, seeds, device, advance)
    if not rows:
        console.print("Interrupted before the first run was finished: nothing to show.")
        raise typer.Exit(130)
    console.print(as_table(rows))
    console.print(f"Written to {out}: report.html, curves.png, photograph.png, digit.png, results.json")
    if sum(row.seeds for row in rows) < len(convs) * seeds:
        raise typer.Exit(130)


def as_table(rows: Sequence[Row]) -> Table:
    """Return the comparison for the screen."""
    table = Table("operator", title="vig_micro on handwritten digits")
    for title in ("parameters", "MACs", "ms per image", "test accuracy"):
        table.add_column(title, justify="right")
    for row in rows:
        accuracy = f"{100 * row.accuracy:.2f} %" + (f" ± {100 * row.spread:.2f}" if row.seeds > 1 else "")
        table.add_row(row.conv, f"{row.parameters:,}", f"{row.macs / 1e6:.2f} M", f"{row.ms_per_image:.3f}", accuracy)
    return table
