"""What ``vig-pyg eval`` and ``vig-pyg predict`` do with models that segment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.table import Table

from vig_pyg.commands.app import console, progress_bar
from vig_pyg.commands.held_out import HeldOut, name_broken
from vig_pyg.data.folders import distinct_images
from vig_pyg.files import write_csv, write_whole
from vig_pyg.segmentation import (
    ClassMap,
    Evaluation,
    draw_map,
    draw_overlay,
    evaluate,
    load_segmentation_data,
    load_segmenter,
    palette,
    segment,
)
from vig_pyg.tasks.segmentation import held_out_batches

SHOWN = 20  # rows of the table on the screen


def evaluate_segmenter(asked: HeldOut) -> None:
    """Measure intersection over union on held-out images and write it per class.

    Raises:
        ValueError: the data has another number of classes than the model.
    """
    model, classes, size = load_segmenter(asked.weights, asked.trust)
    images, out = load_segmentation_data(asked.data, asked.data_root, len(classes)), asked.out
    if len(images.classes) != len(classes):
        raise ValueError(
            f"{asked.weights} tells {len(classes)} classes apart, but {images.name} has {len(images.classes)}"
        )
    batches = held_out_batches(images, asked.batch, asked.workers, asked.image_size or size)
    model.to(asked.device)
    found = asked.measure(images, partial(evaluate, model, batches, len(classes), asked.device))
    write_tables(found, classes, out)
    console.print(iou_table(found, classes))
    name_broken(found.broken)
    console.print(
        f"mean IoU {100 * found.miou:.2f} %, {100 * found.pixel_accuracy:.2f} % of the pixels right, of "
        f"{found.images:,} images{f', {len(found.broken)} not counted' if found.broken else ''}. "
        f"Written to {out}: classes.csv, confusion.csv."
    )


def iou_table(found: Evaluation, classes: Sequence[str]) -> Table:
    """Return intersection over union of every class as a table for the screen."""
    table = Table("class", "IoU, %")
    for name, share in zip(classes, found.iou.tolist(), strict=True):
        table.add_row(name, "neither there nor guessed" if share != share else f"{100 * share:.2f}")
    return table


def write_tables(found: Evaluation, classes: Sequence[str], out: Path) -> None:
    """Write intersection over union per class, and how many pixels of a class were taken for which, as CSV."""
    pixels, shares = found.confusion.sum(1).tolist(), found.iou.tolist()
    write_csv(out / "classes.csv", [("class", "pixels", "iou"), *zip(classes, pixels, shares, strict=True)])
    counts = ((name, *row) for name, row in zip(classes, found.confusion.tolist(), strict=True))
    write_csv(out / "confusion.csv", [("true \\ guessed", *classes), *counts])


def predict_segments(
    weights: Path, places: Sequence[str], batch: int, out: Path, device: str, trust: bool = False
) -> None:
    """Write the class map of every image, and the image with the map laid over it, as PNG."""
    model, classes, size = load_segmenter(weights, trust)
    files = distinct_images(places)
    for folder in ("maps", "overlays"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    console.print(f"Segments {', '.join(places)} by {weights}, on {device}.")
    table = Table("image", "classes")
    with progress_bar() as bar:
        task = bar.add_task("images", total=len(files), note="")
        found = segment(model.to(device), files, image_size=size, batch=batch, device=device)
        for row, drawn in enumerate(bar.track(found, task_id=task)):
            _write_pictures(drawn, classes, out)
            if row < SHOWN:
                table.add_row(str(drawn.path), _shares(drawn, classes))
    colors = [["number", "class", "color"]]
    for number, (name, color) in enumerate(zip(classes, palette(len(classes)), strict=True)):
        colors.append([str(number), name, "#{:02x}{:02x}{:02x}".format(*color)])
    write_csv(out / "classes.csv", colors)
    console.print(table)
    console.print(
        f"{f'… and {len(files) - SHOWN:,} more. ' if len(files) > SHOWN else ''}Written to {out}: class numbers in "
        "maps, pictures in overlays, and classes.csv with names and colors."
    )


def _write_pictures(found: ClassMap, classes: Sequence[str], out: Path) -> None:
    if found.image is None or found.classes is None:
        return
    pictures = {"maps": draw_map(found.classes), "overlays": draw_overlay(found.image, found.classes, classes)}
    for folder, picture in pictures.items():
        write_whole(out / folder / f"{found.path.stem}.png", partial(picture.save, format="png"))


def _shares(found: ClassMap, classes: Sequence[str]) -> str:
    """Return which classes an image shows, the largest first."""
    if found.classes is None:
        return f"does not decode: {found.error}"
    numbers, counts = found.classes.unique(return_counts=True)
    parts = sorted(zip(counts.tolist(), numbers.tolist(), strict=True), reverse=True)
    return ", ".join(f"{classes[number]} {100 * count / found.classes.numel():.1f} %" for count, number in parts)
