"""``vig-pyg predict``."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

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
    progress_bar,
    refuse_unused,
)
from vig_pyg.commands.detect import predict_objects
from vig_pyg.commands.segment import predict_segments
from vig_pyg.commands.tasks import task_of
from vig_pyg.data.folders import find_images
from vig_pyg.data.images import MAX_PIXELS
from vig_pyg.data.transforms import inference_transform
from vig_pyg.files import check_place, write_whole
from vig_pyg.tasks.classify import Prediction, predict
from vig_pyg.tasks.weights import load_model

SHOWN = 20  # rows of the table on the screen
TOP, SCORE = 5, 0.5


@app.command("predict")
def predict_(
    weights: Annotated[Path, typer.Argument(help="The folder of a run or of weights, or a file.")],
    images: Images,
    model: Annotated[str | None, typer.Option(help="The model, where the weights do not say it.")] = None,
    top: Annotated[int | None, typer.Option(min=1, help=f"Guesses per image. (default: {TOP})")] = None,
    score: Annotated[
        float | None, typer.Option(help=f"Least score of an object in a detector's pictures. (default: {SCORE})")
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
        task = task_of(weights)
        refuse_unused(task, classify={"model": model, "top": top}, detect={"score": score})
        if task == "detect":
            score = SCORE if score is None else score
            predict_objects(weights, images, batch, score, out or Path("runs/predict"), device, trust)
            return
        if task == "segment":
            predict_segments(weights, images, batch, out or Path("runs/predict"), device, trust)
            return
        if out is not None and out.suffix not in (".csv", ".jsonl"):
            raise ValueError(f"--out must end in .csv or .jsonl, got {str(out)!r}")
        built, classes = load_model(weights, model, trust)
        top = min(top or TOP, len(classes))
        files = find_images(images)
        found = predict(
            built.to(device), classes, files, inference_transform(built), top=top, batch=batch, device=device
        )
        if out is None:
            show(found)
            return
        console.print(f"Classifies {', '.join(images)} by {weights}, on {device}.")
        with progress_bar() as bar:
            row = bar.add_task("images", total=None, note="")
            write = write_csv if out.suffix == ".csv" else write_jsonl
            check_place(out)
            write_whole(out, lambda path: write(path, bar.track(found, task_id=row), top))
        console.print(f"Written to {out}.")


def show(found: Iterable[Prediction]) -> None:
    """Print predictions as a table."""
    table = Table("image", "guesses")
    rows = 0
    for rows, prediction in enumerate(found, start=1):
        if rows <= SHOWN:
            guesses = ", ".join(f"{name} {100 * share:.1f} %" for name, share in prediction.guesses)
            table.add_row(str(prediction.path), guesses or f"does not decode: {prediction.error}")
    console.print(table)
    if rows > SHOWN:
        console.print(f"… and {rows - SHOWN:,} more: --out predictions.csv writes all.")


def write_csv(path: Path, found: Iterable[Prediction], top: int) -> None:
    """Write one row per image: file, classes and their probabilities, error."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", *(f"{what}{place + 1}" for place in range(top) for what in ("class", "share")), "error"])
        for path_, guesses, error in found:
            cells = [cell for name, share in guesses for cell in (name, f"{share:.6f}")]
            rows.writerow([path_, *cells, *[""] * (2 * top - len(cells)), error or ""])


def write_jsonl(path: Path, found: Iterable[Prediction], top: int) -> None:
    """Write one JSON object per image and line."""
    with path.open("w") as file:
        for path_, guesses, error in found:
            row = {"file": str(path_), "guesses": [{"class": name, "share": share} for name, share in guesses]}
            file.write(json.dumps(row | ({"error": error} if error else {})) + "\n")
