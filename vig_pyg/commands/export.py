"""``vig-pyg export``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import torch
import typer

from vig_pyg.commands.app import Trust, app, console, plain_errors
from vig_pyg.data.transforms import data_config
from vig_pyg.train.export import export
from vig_pyg.train.weights import load_model


class Target(str, Enum):
    """What can be written."""

    onnx = "onnx"
    torch_export = "torch-export"


@app.command("export")
def export_(
    weights: Annotated[Path, typer.Argument(help="The folder of a run or of weights, or a file.")],
    to: Annotated[Target, typer.Option(help="What to write.")] = Target.onnx,
    out: Annotated[Path | None, typer.Option(help="The file. (default: model.onnx or model.pt2)")] = None,
    model: Annotated[str | None, typer.Option(help="The model, where the weights do not say it.")] = None,
    image_size: Annotated[int | None, typer.Option(min=1, help="Side of the images. (default: the weights')")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images at once.")] = 1,
    dynamic_batch: Annotated[bool, typer.Option("--dynamic-batch", help="Any number of images at once.")] = False,
    trust: Trust = False,
) -> None:
    """Write a model for another runtime, its batch norms folded; it then needs none of this library."""
    with plain_errors():
        built, _ = load_model(weights, model, trust)
        channels, height, width = data_config(built, image_size)["input_size"]
        out = out or Path("model.onnx" if to is Target.onnx else "model.pt2")
        images = "any number of" if dynamic_batch else str(batch)
        console.print(f"Exports {weights} for {images} image(s) of {channels}×{height}×{width} to {out}.")
        export(built, torch.randn(batch, channels, height, width), out, to.value, dynamic_batch)
        console.print(f"Written to {out}.")
