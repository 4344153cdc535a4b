"""``vig-pyg demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vig_pyg.commands.app import app
from vig_pyg.commands.options import assignments, plug, usable_device
from vig_pyg.commands.study import command_line, compare, default_jobs
from vig_pyg.study.run import Studies
from vig_pyg.study.studies import OPERATORS
from vig_pyg.train import read_recipe


@app.command()
def demo(
    conv: Annotated[list[str], plug("Operator: a name or module:Name. Repeat for several.")] = OPERATORS,  # type: ignore[assignment]
    graph: Annotated[str | None, plug("Graph: a name or module:Name. (default: knn)")] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 6,
    seeds: Annotated[int, typer.Option(help="Trainings per operator.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for trials, tables, pictures and report.")] = Path("runs/demo"),
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …")] = "cpu",
) -> None:
    """Train a small ViG on handwritten digits with every operator, and compare them: a study of operators in brief."""
    usable_device(device)
    recipe = read_recipe("digits", [f"epochs={epochs}", "warmup_epochs=0.9", *assignments(graph=graph)])
    convs = list(dict.fromkeys(conv))
    studies = Studies(["operators"], recipe, convs, seeds, out, device)
    words = command_line(["demo"], convs, graph=graph, epochs=epochs, seeds=seeds, device=device)
    compare(studies, default_jobs(device), words)
