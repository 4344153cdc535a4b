"""``vig-pyg predict``."""

from __future__ import annotations

import inspect
from collections.abc import Sized
from pathlib import Path
from typing import Annotated

import typer

from vig_pyg.commands.app import app, console, progress_bar, table_of
from vig_pyg.commands.options import (
    Architecture,
    Batch,
    Device,
    Images,
    MaxPixels,
    Trust,
    Weights,
    asked,
    usable_device,
)
from vig_pyg.data.images import MAX_PIXELS
from vig_pyg.tasks.registry import get_task, task_of

SHOWN = 20  # rows of the table on the screen


@app.command("predict")
def predict_(
    weights: Weights,
    images: Images,
    model: Architecture = None,
    top: Annotated[int | None, typer.Option(min=1, help="Guesses per image of a classifier. (default: 5)")] = None,
    score: Annotated[
        float | None, typer.Option(help="Least score of an object in a detector's pictures. (default: 0.5)")
    ] = None,
    batch: Batch = 32,
    out: Annotated[
        Path | None,
        typer.Option(help="A file for all predictions, .csv or .jsonl; to detect or segment a folder (runs/predict)."),
    ] = None,
    device: Device = None,
    max_pixels: MaxPixels = MAX_PIXELS,
    trust: Trust = False,
) -> None:
    """Classify files of images or graphs, with --out any number; or find objects in images, or segment them."""
    device = usable_device(device)
    name = task_of(weights, trust)
    kind = get_task(name)
    options = asked(top=top, score=score)
    for option, value in options.items():
        if option not in inspect.signature(kind.predict).parameters:
            raise ValueError(f"--{option} {value} changes nothing: these weights are of the task {name}")
    place = kind.place(out)
    trained = kind.load(weights, model=model, trust=trust)
    files = kind.files(images)
    console.print(f"{kind.verb} {', '.join(images)} by {weights}, on {device}.")
    rows, count = [[kind.noun, "prediction"]], 0
    with progress_bar() as bar:
        row = bar.add_task(f"{kind.noun}s", total=len(files) if isinstance(files, Sized) else None, note="")

        def seen(path: Path, words: str) -> None:
            nonlocal count
            count += 1
            bar.update(row, advance=1)
            if count <= SHOWN:
                rows.append([str(path), words])

        trained.model.to(device)
        sentence = kind.predict(trained, files, place, seen, batch=batch, device=device, **options)
    console.print(table_of(rows))
    if count > SHOWN:
        console.print(f"… and {count - SHOWN:,} more{'' if place else ': --out predictions.csv writes all'}.")
    if sentence:
        console.print(sentence)
