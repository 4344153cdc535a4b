"""``vig-pyg demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vig_pyg.commands.app import app, check_device, from_this_folder, plain_errors
from vig_pyg.commands.study import command_line, compare, default_jobs
from vig_pyg.study.run import Studies
from vig_pyg.study.studies import OPERATORS
from vig_pyg.train import read_recipe


@app.command()
def demo(
    conv: Annotated[
        list[str], typer.Option(help="Operator: a name or module:Name. Repeat for several.", callback=from_this_folder)
    ] = OPERATORS,  # type: ignore[assignment]
    graph: Annotated[
        str | None, typer.Option(help="Graph: a name or module:Name. (default: knn)", callback=from_this_folder)
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 6,
    seeds: Annotated[int, typer.Option(help="Trainings per operator.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for trials, tables, pictures and report.")] = Path("runs/demo"),
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …")] = "cpu",
) -> None:
    """Train a small ViG on handwritten digits with every operator, and compare them: a study of operators in brief."""
    with plain_errors():
        check_device(device)
        plugged = [] if graph is None else [f"graph={graph}"]
        recipe = read_recipe("digits", [f"epochs={epochs}", "warmup_epochs=0.9", *plugged])
        convs = list(dict.fromkeys(conv))
        options = {"graph": graph, "epochs": epochs, "seeds": seeds, "device": device}
        studies = Studies(["operators"], recipe, convs, seeds, out, device)  # type: ignore[arg-type]
        compare(studies, default_jobs(device), command_line(["demo"], convs, options))
