"""``vig-pyg train``."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import torch
import typer
from accelerate import Accelerator
from torch import nn

from vig_pyg.commands.app import app, console, progress_bar
from vig_pyg.commands.options import MaxPixels, Trust, asked, assignments, from_this_folder, plug, usable_device
from vig_pyg.data.images import MAX_PIXELS
from vig_pyg.manifest import check
from vig_pyg.study.cost import count_parameters
from vig_pyg.tasks import Epoch, Recipe, Task, get_task, list_recipes, list_tasks, read_recipe
from vig_pyg.tasks.registry import task_for, tasks_with
from vig_pyg.train.devices import accelerator_for, images_at_once
from vig_pyg.train.fit import fit
from vig_pyg.train.run import RECIPE, Progress


@app.command()
def train(
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Changes of the recipe.", callback=from_this_folder),
    ] = None,
    task: Annotated[
        str | None, plug(f"{', '.join(list_tasks())} or module:Name. (default: what the recipe says)")
    ] = None,
    head: Annotated[str | None, typer.Option(help="Detector on the model: retinanet or mask_rcnn.")] = None,
    model: Annotated[str | None, typer.Option(help="A model that timm knows; vig-pyg models lists ours.")] = None,
    conv: Annotated[str | None, plug("Operator: a name or module:Name; vig-pyg convs lists them.")] = None,
    graph: Annotated[str | None, plug("Graph: a name or module:Name; vig-pyg graphs lists them.")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="digits, an image folder, or a name for timm; digits-scenes, or a folder of COCO or VOC; graphs "
            "(digits-superpixels, shapes, pyg/…)."
        ),
    ] = None,
    recipe: Annotated[str | None, typer.Option(help=f"{', '.join(list_recipes())}, or a YAML file.")] = None,
    init: Annotated[Path | None, typer.Option(help="Weights to start from: a file, or the folder of a run.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. (default: runs/MODEL-DATA)")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu or cuda. (default: a GPU where there is one)")] = None,
    max_pixels: MaxPixels = MAX_PIXELS,
    trust: Trust = False,
) -> None:
    """Train a model: `vig-pyg train --data digits`, or on images of your own with one folder per class.

    Without --recipe, digits are trained by `digits`, weights of --init by `finetune`, all else by the paper's `deit`;
    with --task detect, digits-scenes by `scenes` or `scenes_masks`, all else by the paper's `coco_1x`;
    with --task segment, digits-scenes by `scenes_segment`, all else by `segment`.
    """
    if task is None and head is not None:
        task = tasks_with("head")[0]
    options = {"task": task, "head": head, "model": model, "conv": conv, "graph": graph, "data": data, "init": init}
    usable_device(device)
    for key in asked(**options):
        if any(change.startswith(f"{key}=") for change in changes or []):
            raise ValueError(f"--{key} and {key}= are both given: leave one out")
    overrides = assignments(**options) + (changes or [])
    chosen = read_recipe(_recipe(recipe, overrides, out, resume), overrides, trust)
    kind = get_task(chosen.task)
    name = kind.title(chosen)
    out = out or Path("runs") / f"{name.replace(' on ', '-')}-{Path(chosen.data).name}"
    accelerator = accelerator_for(chosen, device)
    examples = kind.load_data(chosen)
    torch.manual_seed(chosen.seed)
    built = kind.build_model(chosen, examples)
    learned = kind(examples, chosen)
    learned.check_fits(built)
    learned.check_data(built)
    console.quiet = not accelerator.is_main_process
    announce(learned, name, built, accelerator, out, resume)
    history = run(built, learned, chosen, out, resume, accelerator)
    figure = next(iter(history[-1].measured)).replace("_", " ")
    best = max(epoch.score for epoch in history)
    console.print(
        f"{figure.capitalize()} {100 * history[-1].score:.2f} % (best epoch {100 * best:.2f} %). Written to {out}: "
        "recipe, metrics.csv, curves.png, and the weights in best and last."
    )


def _recipe(recipe: str | None, overrides: list[str], out: Path | None, resume: bool) -> str:
    """Return the recipe that is asked for: by name, that of the run to go on with, or the task's own."""
    if resume and out is None:
        raise ValueError("--resume needs --out: the folder of the run to go on with")
    if resume and out:
        check(out / RECIPE)
        begun = (out / RECIPE).is_file()  # a run that was killed as it began has none
        if recipe is None and (begun or not (out.is_dir() and overrides)):
            recipe = str(out / RECIPE)
    if recipe is not None:
        return recipe
    written = dict(override.partition("=")[::2] for override in overrides)
    return get_task(written.get("task") or task_for(written.get("data"))).default_recipe(written)


def announce(task: Task, name: str, model: nn.Module, accelerator: Accelerator, out: Path, resume: bool) -> None:
    """Say what will be done."""
    recipe, data = task.recipe, task.data
    at_once = images_at_once(recipe, accelerator.num_processes)
    steps = recipe.batch // (at_once * accelerator.num_processes)
    rate = f"{recipe.scaled_learning_rate:.3g}"
    if recipe.batch != recipe.learning_rate_batch:
        rate += f" (scaled from {recipe.learning_rate:.3g} at a batch of {recipe.learning_rate_batch})"
    shares = f"{accelerator.num_processes} process(es) × {at_once} {task.noun}s × {steps} step(s)"
    verb = "Goes on training" if resume else "Trains"
    plugged = " and ".join(word for word in (recipe.conv, recipe.graph) if word)
    console.print(
        f"{verb} {name}{f' with {plugged}' if plugged else ''} ({count_parameters(model) / 1e6:.2f} M "
        f"parameters{', from ' + recipe.init if recipe.init else ''}) on {data.name}: {len(data.classes)} classes, "
        f"{len(data.train):,} {task.noun}s to train on, {len(data.test):,} held out.\n"
        f"{recipe.epochs} epochs, batch {recipe.batch} = {shares}, learning rate {rate}, seed {recipe.seed}, "
        f"on {accelerator.device}, {'float32' if recipe.precision == 'no' else recipe.precision}, into {out}.\n"
        "Ctrl-C stops after the next update and keeps the state; --resume goes on from it."
    )


def run(model: nn.Module, task: Task, recipe: Recipe, out: Path, resume: bool, accelerator: Accelerator) -> list[Epoch]:
    """Train with a progress bar and a line per epoch."""
    updates = max(1, task.images // recipe.batch)
    with progress_bar(not accelerator.is_main_process) as bar:
        updates_bar = bar.add_task("updates", total=recipe.epochs * updates, note="")
        number = 0

        def look(progress: Progress, loss: float) -> None:
            nonlocal number
            number = progress.epoch
            bar.update(updates_bar, completed=progress.epoch * updates + progress.update, note=f"loss {loss:.3f}")

        def line(epoch: Epoch) -> None:
            measured = "".join(f"{name} {100 * share:6.2f} %  " for name, share in islice(epoch.measured.items(), 2))
            bar.console.print(
                f"epoch {number + 1:3d}  loss {epoch.loss:.4f}  {measured}{epoch.seconds:.1f} s, "
                f"{100 * epoch.waiting:.0f} % waiting for data"
            )

        return fit(model, task, recipe, out, resume=resume, accelerator=accelerator, on_look=look, on_epoch=line)
