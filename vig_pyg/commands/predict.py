"""``vig-pyg predict``."""

from __future__ import annotations

import inspect
from collections.abc import Sized
from pathlib import Path
from typing import Annotated, Any

import typer

from vig_pyg.commands.app import (
    LARGEST_BATCH,
    Images,
    MaxPixels,
    Trust,
    app,
    check_device,
    console,
    default_device,
    plain_errors,
    print_rows,
    progress_bar,
)
from vig_pyg.data.images import MAX_PIXELS
from vig_pyg.tasks.registry import get_task, task_of
from vig_pyg.tasks.task import Task

SHOWN = 20  # rows of the table on the screen


@app.command("predict")
def predict_(
    weights: Annotated[Path, typer.Argument(help="The folder of a run or of weights, or a file.")],
    images: Images,
    model: Annotated[str | None, typer.Option(help="The model, where the weights do not say it.")] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Guesses per image of a classifier. (default: 5)")] = None,
    score: Annotated[
        float | None, typer.Option(help="Least score of an object in a detector's pictures. (default: 0.5)")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=LARGEST_BATCH, help="Images at once.")] = 32,
    out: Annotated[
        Path | None,
        typer.Option(help="A file for all predictions, .csv or .jsonl; to detect or segment a folder (runs/predict)."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, … (default: a GPU where there is one)")] = None,
    max_pixels: MaxPixels = MAX_PIXELS,
    trust: Trust = False,
) -> None:
    """Classify image files, with --out any number in constant memory; or find their objects, or segment them."""
    with plain_errors():
        device = default_device() if device is None else device
        check_device(device)
        name = task_of(weights, trust)
        kind = get_task(name)
        options = {key: value for key, value in {"top": top, "score": score}.items() if value is not None}
        check_options(name, kind, options)
        place = kind.place(out)
        trained = kind.load(weights, model=model, trust=trust)
        files = kind.files(images)
        console.print(f"{kind.verb} {', '.join(images)} by {weights}, on {device}.")
        rows, count = [["image", "prediction"]], 0
        with progress_bar() as bar:
            row = bar.add_task("images", total=len(files) if isinstance(files, Sized) else None, note="")

            def seen(path: Path, words: str) -> None:
                nonlocal count
                count += 1
                bar.update(row, advance=1)
                if count <= SHOWN:
                    rows.append([str(path), words])

            trained.model.to(device)
            sentence = kind.predict(trained, files, place, seen, batch=batch, device=device, **options)
        print_rows(rows)
        if count > SHOWN:
            console.print(f"… and {count - SHOWN:,} more{'' if place else ': --out predictions.csv writes all'}.")
        if sentence:
            console.print(sentence)


def check_options(name: str, task: type[Task], options: dict[str, Any]) -> None:
    """Refuse options that a task does not have.

    Raises:
        ValueError: names the option.
    """
    known = inspect.signature(task.predict).parameters
    for option, value in options.items():
        if option not in known:
            raise ValueError(f"--{option} {value} changes nothing: these weights are of the task {name}")
