"""``vig-pyg eval``."""

from __future__ import annotations

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
    print_rows,
    progress_bar,
)
from vig_pyg.data.images import LARGEST_IMAGE, MAX_PIXELS
from vig_pyg.tasks.registry import get_task, task_of


@app.command("eval")
def evaluate_(
    weights: Annotated[Path, typer.Argument(help="The folder of a run or of weights, or a file.")],
    data: Annotated[str | None, typer.Option(help="As for train. (default: digits, else digits-scenes)")] = None,
    data_root: Annotated[str, typer.Option(help="The folder of timm's data sets.")] = "data",
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
        kind = get_task(task_of(weights, trust))
        trained = kind.load(weights, model=model, image_size=image_size, trust=trust)
        given = {"data": data, "data_root": data_root, "image_size": image_size, "workers": workers}
        recipe = kind.evaluation_recipe(trained, {key: value for key, value in given.items() if value is not None})
        task = kind(kind.load_data(recipe), recipe)
        task.check_classes(trained)
        count, name = len(task.data.test), task.data.name
        console.print(f"Evaluates {weights} on the {count:,} held-out images of {name}, on {device}.")
        out.mkdir(parents=True, exist_ok=True)
        batches = task.test_loader(trained.model, batch)
        with progress_bar() as bar:
            images = bar.add_task("images", total=count, note="")
            found = task.evaluate(trained.model.to(device), batches, device, lambda n: bar.update(images, advance=n))
        rows, sentence = task.report(found, out)
        print_rows(rows)
        for broken in found.broken:
            console.print(f"does not decode: {broken}", markup=False)
        console.print(sentence)
