"""``vig-pyg eval``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vig_pyg.commands.app import app, console, progress_bar, table_of
from vig_pyg.commands.options import Architecture, Batch, Device, MaxPixels, Trust, asked, side, usable_device
from vig_pyg.data.images import MAX_PIXELS
from vig_pyg.data.labeled import ImageTensorDataset
from vig_pyg.data.transforms import data_config
from vig_pyg.tasks.classifier import load_published
from vig_pyg.tasks.registry import get_task, task_of
from vig_pyg.tasks.results import Trained
from vig_pyg.tasks.task import Task


@app.command("eval")
def evaluate_(
    weights: Annotated[Path | None, typer.Argument(help="The folder of a run or of weights, or a file.")] = None,
    data: Annotated[str | None, typer.Option(help="As for train. (default: digits, else digits-scenes)")] = None,
    data_root: Annotated[str, typer.Option(help="The folder of timm's data sets.")] = "data",
    model: Architecture = None,
    pretrained: Annotated[bool, typer.Option("--pretrained", help="The weights published for --model.")] = False,
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

    Crop, interpolation and normalization are those of the weights. The published figures of ViG need theirs: 0.9,
    bicubic, mean and deviation 0.5; with ImageNet's usual ones they come out some points lower.

    `vig-pyg eval --data imagenet --model vig_tiny --pretrained` takes published weights and a folder with `val`, which
    has a folder per class, named so that they sort in the order of the classes, as ImageNet's do.
    """
    device = usable_device(device)
    kind, trained, name_of_weights = chosen(weights, model, pretrained, image_size, trust)
    changes = asked(data=data, data_root=data_root, image_size=image_size, workers=workers)
    recipe = kind.evaluation_recipe(trained, changes)
    task = kind(kind.load_data(recipe), recipe)
    task.check_classes(trained)
    count, name = len(task.data.test), task.data.name
    console.print(f"Evaluates {name_of_weights} on the {count:,} held-out {task.noun}s of {name}, on {device}.")
    if pretrained and not isinstance(task.data.test, ImageTensorDataset):
        prepared = data_config(trained.model, image_size)
        words = ", ".join(
            f"{key} {prepared[key]}" for key in ("input_size", "crop_pct", "interpolation", "mean", "std")
        )
        console.print(f"Images are prepared as the weights want it: {words}.")
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


def chosen(
    weights: Path | None, model: str | None, pretrained: bool, image_size: int | None, trust: bool
) -> tuple[type[Task], Trained, str]:
    """Return the task and the model that are asked for, and what to call its weights; refuse both or none of two."""
    if pretrained:
        if weights is not None or model is None:
            raise ValueError("--pretrained is for the name of a model, --model vig_tiny, and no other weights")
        return get_task("classify"), load_published(model), f"the published {model}"
    if weights is None:
        raise ValueError("there are no weights: give the folder of a run or a file, or --model NAME --pretrained")
    kind = get_task(task_of(weights, trust))
    return kind, kind.load(weights, model=model, image_size=image_size, trust=trust), str(weights)
