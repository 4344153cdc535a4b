"""``vig-pyg convert``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import torch
import typer

from vig_pyg.commands.app import app, console
from vig_pyg.commands.options import Architecture, Trust, Weights
from vig_pyg.data.transforms import data_config
from vig_pyg.files import check_place
from vig_pyg.models.layouts import LAYOUTS, write_layout
from vig_pyg.tasks.classifier import load_model

Layout = Enum("Layout", {name: name for name in LAYOUTS}, type=str)  # type: ignore[misc]


@app.command()
def convert(
    weights: Weights,
    to: Annotated[Layout, typer.Option(help="Whose names and shapes the weights get.")],
    out: Annotated[
        Path | None, typer.Option(help="The file. (default: MODEL.LAYOUT.pth, for timm MODEL.timm.safetensors)")
    ] = None,
    model: Architecture = None,
    trust: Trust = False,
) -> None:
    """Write a classifier's weights, of any of these layouts, in another, and see that the outputs stay the same.

    The authors' release and mmpretrain then load the file; `timm` is the layout of this library.
    """
    built, _ = load_model(weights, model, trust)
    name = str(getattr(built, "pretrained_cfg", {}).get("architecture") or model)
    ending = "safetensors" if to.value == "timm" else "pth"
    out = Path(f"{name}.{to.value}.{ending}") if out is None else out
    if out.suffix not in (".pth", ".pt", ".safetensors"):
        raise ValueError(f"--out must end in .pth, .pt or .safetensors, got {str(out)!r}")
    if out.resolve() == weights.resolve():
        raise ValueError(f"--out {out} would replace the file that is converted: name another")
    check_place(out)
    images = torch.randn(2, *data_config(built)["input_size"], generator=torch.Generator().manual_seed(0))
    write_layout(built, to.value, out, images)
    console.print(f"Written to {out}: {name} in the layout of {to.value}, its outputs equal bit by bit.")
