"""``vig-pyg models``, ``vig-pyg convs`` and ``vig-pyg info``."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import timm
import torch
import typer
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vig_pyg.blocks.block import Block
from vig_pyg.commands.app import app, console, from_this_folder, plain_errors
from vig_pyg.conv import get_conv, list_convs
from vig_pyg.data.images import LARGEST_IMAGE
from vig_pyg.data.transforms import data_config
from vig_pyg.graph.registry import get_graph, list_graphs
from vig_pyg.models.names import check_model_name
from vig_pyg.models.vision_gnn import VisionGNN
from vig_pyg.registry import parameters
from vig_pyg.study.cost import count_macs, count_parameters, without_computing


@app.command()
def models() -> None:
    """List the models of this library with their size and cost."""
    table = Table("model", title="with 1000 classes")
    for title in ("image", "parameters", "GMAC"):
        table.add_column(title, justify="right")
    for name in timm.list_models(module="vig") + timm.list_models(module="pyramid_vig"):
        with torch.device("meta"):
            model = timm.create_model(name)
        size = data_config(model)["input_size"]
        macs = count_macs(model, torch.empty(1, *size, device="meta"))
        table.add_row(name, f"{size[1]}×{size[2]}", f"{count_parameters(model) / 1e6:.1f} M", f"{macs / 1e9:.2f}")
    console.print(table)


@app.command()
def convs() -> None:
    """List the operators that --conv takes by name; module:Name takes one of yours."""
    table = Table("--conv", "operator")
    for name in list_convs():
        text = (get_conv(name).__doc__ or "").strip().splitlines() or [""]
        table.add_row(name, text[0])
    console.print(table)


@app.command()
def graphs() -> None:
    """List the graphs that --graph takes by name; module:Name takes one of yours."""
    table = Table("--graph", "edges", "options")
    for name in list_graphs():
        graph = get_graph(name)
        text = (graph.__doc__ or "").strip().splitlines() or [""]
        table.add_row(name, text[0], ", ".join(word for word in parameters(graph) if word not in ("x", "layout")))
    console.print(table)


@app.command()
def info(
    model: Annotated[str, typer.Argument(help="A model of this library.")],
    conv: Annotated[str | None, typer.Option(help="Another operator.", callback=from_this_folder)] = None,
    graph: Annotated[str | None, typer.Option(help="Another graph.", callback=from_this_folder)] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, max=LARGEST_IMAGE, help="Side of the images. (default: the model's own)")
    ] = None,
) -> None:
    """Show a model stage by stage: nodes, neighbors, dilation, parameters, multiply-accumulates."""
    with plain_errors():
        check_model_name(model)
        options: dict[str, Any] = {
            key: value
            for key, value in {"conv": conv, "graph": graph, "img_size": image_size}.items()
            if value is not None
        }
        with torch.device("meta"):
            built = timm.create_model(model, **options)
        if not isinstance(built, VisionGNN):
            raise ValueError(f"{model} is no model of this library; vig-pyg models lists them")
        images = torch.zeros(1, *data_config(built, image_size)["input_size"])
        console.print(without_computing(stages, partial(timm.create_model, model, **options), images))


@torch.no_grad()
def stages(model: nn.Module, images: torch.Tensor) -> Table:
    """Return one row per part: the stem, every block and downsampling, and the head."""
    assert isinstance(model, VisionGNN)
    shapes: dict[str, tuple[int, int]] = {}
    parts = {"stem": model.stem, **{f"blocks.{i}": part for i, part in enumerate(model.blocks)}, "head": model.head}
    names = {part: name for name, part in parts.items()}

    def note(part: nn.Module, _: object, out: object) -> None:
        shapes[names[part]] = _size(out)

    for part in parts.values():
        part.register_forward_hook(note)
    with FlopCounterMode(display=False) as counter:
        model.eval()(images)
    table = Table("part", title=f"{type(model).__name__}, one image of {images.size(2)}×{images.size(3)}")
    for title in ("nodes", "width", "k", "dilation", "parameters", "MMAC"):
        table.add_column(title, justify="right")
    total = 0
    for name, part in parts.items():
        flops = sum(counter.get_flop_counts().get(f"{type(model).__name__}.{name}", {}).values())
        total += flops
        graph = part.grapher.graph if isinstance(part, Block) else None
        near = [str(getattr(graph, name, "")) for name in ("k", "dilation")]
        nodes, width = shapes[name]
        label = f"{name} ({type(part).__name__})"
        table.add_row(label, str(nodes), str(width), *near, f"{count_parameters(part):,}", f"{flops / 2e6:.1f}")
    table.add_section()
    table.add_row("all", "", "", "", "", f"{count_parameters(model):,}", f"{total / 2e6:.1f}")
    return table


def _size(out: object) -> tuple[int, int]:
    x = out[0] if isinstance(out, tuple) else out
    assert isinstance(x, torch.Tensor)
    return x.size(0), x.size(1)
