"""``vig-pyg eval``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from vig_pyg.commands.app import (
    LARGEST_BATCH,
    MaxPixels,
    Trust,
    app,
    check_device,
    console,
    default_device,
    plain_errors,
    refuse_unused,
)
from vig_pyg.commands.detect import evaluate_detector
from vig_pyg.commands.held_out import HeldOut, name_broken
from vig_pyg.commands.segment import evaluate_segmenter
from vig_pyg.commands.tasks import task_of
from vig_pyg.data.images import LARGEST_IMAGE, MAX_PIXELS
from vig_pyg.data.labeled import load_data
from vig_pyg.data.scenes import SCENES
from vig_pyg.files import write_csv, write_whole
from vig_pyg.tasks.accuracy import Evaluation, evaluate
from vig_pyg.tasks.loaders import held_out_batches
from vig_pyg.tasks.weights import load_model

EVALUATE = {"detect": evaluate_detector, "segment": evaluate_segmenter}


@app.command("eval")
def evaluate_(
    weights: Annotated[Path, typer.Argument(help="The folder of a run or of weights, or a file.")],
    data: Annotated[str | None, typer.Option(help="As for train. (default: digits, else digits-scenes)")] = None,
    data_root: Annotated[str, typer.Option(help="Where timm's data sets lie.")] = "data",
    model: Annotated[str | None, typer.Option(help="The model, where the weights do not say it.")] = None,
    image_size: Annotated[
        int | None,
        typer.Option(min=1, max=LARGEST_IMAGE, help="Side of the images, the shorter one. (default: the weights')"),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=LARGEST_BATCH, help="Images at once.")] = 64,
    workers: Annotated[int, typer.Option(min=0, max=1024, help="Processes that load images.")] = 2,
    out: Annotated[Path, typer.Option(help="Folder for the tables and the picture.")] = Path("runs/eval"),
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, … (default: a GPU where there is one)")] = None,
    max_pixels: MaxPixels = MAX_PIXELS,
    trust: Trust = False,
) -> None:
    """Measure a model on held-out images: accuracy, per class and confused with what.

    Of a detector, COCO's figures; of what segments, intersection over union.

    Crop, interpolation and normalization are those of the weights.
    """
    with plain_errors():
        device = default_device() if device is None else device
        check_device(device)
        task = task_of(weights)
        refuse_unused(task, classify={"model": model})
        asked = HeldOut(
            weights,
            ("digits" if task == "classify" else SCENES) if data is None else data,
            data_root,
            image_size,
            batch,
            workers,
            out,
            device,
            trust,
        )
        if task in EVALUATE:
            EVALUATE[task](asked)
            return
        built, _ = load_model(weights, model, trust)
        images = load_data(asked.data, image_size or 32, data_root, int(built.num_classes))  # type: ignore[arg-type]
        classes = len(images.classes)
        if classes != built.num_classes:
            raise ValueError(f"{weights} tells {built.num_classes} classes apart, but {asked.data} has {classes}")
        batches = held_out_batches(images, built, batch, workers, image_size)
        found = asked.measure(images, partial(evaluate, built.to(device), batches, classes, device))
        write_tables(found, images.classes, out)
        name_broken(found.broken)
        console.print(
            f"top-1 {100 * found.top1:.2f} %, top-5 {100 * found.top5:.2f} % of {found.images:,} images"
            f"{f', {len(found.broken)} not counted' if found.broken else ''}. "
            f"Written to {out}: classes.csv, confusion.csv, confusion.png."
        )


def write_tables(found: Evaluation, classes: list[str], out: Path) -> None:
    """Write accuracy per class and the confusion matrix, as CSV and as a picture."""
    per_class = zip(classes, found.confusion.sum(1).tolist(), found.per_class.tolist(), strict=True)
    write_csv(out / "classes.csv", [("class", "images", "accuracy"), *per_class])
    counts = ((name, *row) for name, row in zip(classes, found.confusion.tolist(), strict=True))
    write_csv(out / "confusion.csv", [("true \\ guessed", *classes), *counts])
    write_whole(out / "confusion.png", lambda p: draw_confusion(p, found, classes))


def draw_confusion(path: Path, found: Evaluation, classes: list[str]) -> None:
    """Draw the share of every true class that was taken for every class; small matrices with their counts."""
    from matplotlib.figure import Figure

    side = min(14.0, 3.2 + 0.34 * len(classes))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    shares = (found.confusion / found.confusion.sum(1, keepdim=True).clamp(min=1)).numpy()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="guessed", ylabel="true", title=f"{100 * found.top1:.2f} % of {found.images:,} images")
    if len(classes) <= 30:
        ticks = range(len(classes))
        axes.set_xticks(ticks, classes, rotation=90 if max(map(len, classes)) > 2 else 0)
        axes.set_yticks(ticks, classes)
        for row, column in found.confusion.nonzero().tolist():
            color = "white" if shares[row, column] > 0.5 else "black"
            count = int(found.confusion[row, column])
            axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)
    figure.savefig(path, dpi=110, format="png")
