"""``vig-pyg eval``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vig_pyg.commands.app import app, console, progress_bar, table_of
from vig_pyg.commands.options import Architecture, Batch, Device, MaxPixels, Trust, Weights, asked, side, usable_device
from vig_pyg.data.images import MAX_PIXELS
from vig_pyg.tasks.registry import get_task, task_of


@app.command("eval")
def evaluate_(
    weights: Weights,
    data: Annotated[str | None, typer.Option(help="As for train. (default: digits, else digits-scenes)")] = None,
    data_root: Annotated[str, typer.Option(help="The folder of timm's data sets.")] = "data",
    model: Architecture = None,
    image_size: Annotated[int | None, side("Side of the images, the shorter one. (default: the weights')")] = None,
    batch: Batch = 64,
    workers: Annotated[int, typer.Option(min=0, max=1024, help="Processes that load images.")] = 2,
    out: Annotated[Path, typer.Option(help="Folder for the tables and the picture.")] = Path("runs/eval"),
    device: Device = None,
    max_pixels: MaxPixels = MAX_PIXELS,
    trust: Trust = False,
) -> None:
    """Measure a model on held-out images or graphs: accuracy, per class and confused with what.

    Of a detector, COCO's figures; of what segments, intersection over union.

    Crop, interpolation and normalization are those of the weights.
    """
    device = usable_device(device)
    kind = get_task(task_of(weights, trust))
    trained = kind.load(weights, model=model, image_size=image_size, trust=trust)
    changes = asked(data=data, data_root=data_root, image_size=image_size, workers=workers)
    recipe = kind.evaluation_recipe(trained, changes)
    task = kind(kind.load_data(recipe), recipe)
    task.check_classes(trained)
    count, name = len(task.data.test), task.data.name
    console.print(f"Evaluates {weights} on the {count:,} held-out {task.noun}s of {name}, on {device}.")
    out.mkdir(parents=True, exist_ok=True)
    batches = task.test_loader(trained.model, batch)
    with progress_bar() as bar:
        row = bar.add_task(f"{task.noun}s", total=count, note="")
        found = task.evaluate(trained.model.to(device), batches, device, lambda n: bar.update(row, advance=n))
    rows, sentence = task.report(found, out)
    if rows:  # a classifier's are in its files
        console.print(table_of(rows))
    for broken in found.broken:
        console.print(f"does not decode: {broken}")
    console.print(sentence)
