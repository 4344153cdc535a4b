"""``vig-pyg export``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import torch
import typer

from vig_pyg.commands.app import app, console
from vig_pyg.commands.options import LARGEST_BATCH, Architecture, Trust, Weights, side
from vig_pyg.data.transforms import data_config
from vig_pyg.files import check_place
from vig_pyg.models.export import export
from vig_pyg.tasks.classifier import load_model


class Target(str, Enum):
    """What can be written."""

    onnx = "onnx"
    torch_export = "torch-export"


SUFFIXES = {Target.onnx: ".onnx", Target.torch_export: ".pt2"}


@app.command("export")
def export_(
    weights: Weights,
    to: Annotated[Target, typer.Option(help="What to write.")] = Target.onnx,
    out: Annotated[Path | None, typer.Option(help="The file. (default: model.onnx or model.pt2)")] = None,
    model: Architecture = None,
    image_size: Annotated[int | None, side("Side of the images. (default: the weights')")] = None,
    batch: Annotated[int | None, typer.Option(min=1, max=LARGEST_BATCH, help="Images at once. (default: 1)")] = None,
    dynamic_batch: Annotated[bool, typer.Option("--dynamic-batch", help="Any number of images at once.")] = False,
    trust: Trust = False,
) -> None:
    """Write a model for another runtime, its batch norms folded; it then needs none of this library."""
    if dynamic_batch and batch is not None:
        raise ValueError(f"--batch {batch} and --dynamic-batch say different things: leave one out")
    out = Path("model" + SUFFIXES[to]) if out is None else out
    if out.suffix != SUFFIXES[to]:
        raise ValueError(f"--out must end in {SUFFIXES[to]} for --to {to.value}, got {str(out)!r}")
    built, _ = load_model(weights, model, trust)
    channels, height, width = data_config(built, image_size)["input_size"]
    check_place(out)
    images = "any number of" if dynamic_batch else str(batch or 1)
    console.print(f"Exports {weights} for {images} image(s) of {channels}×{height}×{width} to {out}.")
    export(built, torch.randn(batch or 1, channels, height, width), out, to.value, dynamic_batch)
    console.print(f"Written to {out}.")
