"""``vig-pyg models``, ``vig-pyg convs``, ``vig-pyg graphs`` and ``vig-pyg info``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import timm
import torch
import typer
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vig_pyg.blocks.block import Block
from vig_pyg.commands.app import app, console, table_of
from vig_pyg.commands.options import asked, plug, side
from vig_pyg.conv import get_conv, list_convs
from vig_pyg.data.transforms import data_config
from vig_pyg.graph.registry import get_graph, list_graphs
from vig_pyg.models.names import check_model_name, list_ours
from vig_pyg.models.vision_gnn import VisionGNN
from vig_pyg.registry import parameters
from vig_pyg.study.cost import count_macs, count_parameters, without_computing


@app.command()
def models() -> None:
    """List the models of this library with their size and cost."""
    rows = [["model", "image", "parameters", "GMAC"]]
    for name in list_ours():
        with torch.device("meta"):
            model = timm.create_model(name)
        size = data_config(model)["input_size"]
        macs = without_computing(count_macs, partial(timm.create_model, name), torch.zeros(1, *size))
        rows.append([name, f"{size[1]}×{size[2]}", f"{count_parameters(model) / 1e6:.1f} M", f"{macs / 1e9:.2f}"])
    console.print(table_of(rows, "with 1000 classes"))


@app.command()
def convs() -> None:
    """List the operators that --conv takes by name; module:Name takes one of yours."""
    rows = [[name, _first_line(get_conv(name))] for name in list_convs()]
    console.print(table_of([["--conv", "operator"], *rows], words=True))


@app.command()
def graphs() -> None:
    """List the graphs that --graph takes by name; module:Name takes one of yours."""
    rows = [["--graph", "edges", "options"]]
    for name in list_graphs():
        graph = get_graph(name)
        options = [word for word in parameters(graph) if word not in ("x", "layout")]
        rows.append([name, _first_line(graph), ", ".join(options)])
    console.print(table_of(rows, words=True))


def _first_line(part: Callable[..., Any]) -> str:
    return (part.__doc__ or "").strip().partition("\n")[0]


@app.command()
def info(
    model: Annotated[str, typer.Argument(help="A model of this library.")],
    conv: Annotated[str | None, plug("Another operator.")] = None,
    graph: Annotated[str | None, plug("Another graph.")] = None,
    image_size: Annotated[int | None, side("Side of the images. (default: the model's own)")] = None,
) -> None:
    """Show a model stage by stage: nodes, neighbors, dilation, parameters, multiply-accumulates."""
    check_model_name(model)
    build = partial(timm.create_model, model, **asked(conv=conv, graph=graph, img_size=image_size))
    with torch.device("meta"):
        built = build()
    if not isinstance(built, VisionGNN):
        raise ValueError(f"{model} is no model of this library; vig-pyg models lists them")
    images = torch.zeros(1, *data_config(built, image_size)["input_size"])
    console.print(without_computing(stages, build, images))


@torch.no_grad()
def stages(model: nn.Module, images: torch.Tensor) -> Table:
    """Return one row per part: the stem, every block and downsampling, and the head."""
    assert isinstance(model, VisionGNN)
    shapes: dict[nn.Module, list[str]] = {}
    parts = {"stem": model.stem, **{f"blocks.{i}": part for i, part in enumerate(model.blocks)}, "head": model.head}

    def note(part: nn.Module, _: object, out: Any) -> None:
        x = out[0] if isinstance(out, tuple) else out
        shapes[part] = [str(size) for size in x.shape[:2]]

    for part in parts.values():
        part.register_forward_hook(note)
    with FlopCounterMode(display=False) as counter:
        model.eval()(images)
    flops = {name.split(".", 1)[-1]: sum(each.values()) for name, each in counter.get_flop_counts().items()}
    rows = [["part", "nodes", "width", "k", "dilation", "parameters", "MMAC"]]
    for name, part in parts.items():
        graph = part.grapher.graph if isinstance(part, Block) else None
        near = [str(getattr(graph, word, "")) for word in ("k", "dilation")]
        cost = [f"{count_parameters(part):,}", f"{flops.get(name, 0) / 2e6:.1f}"]
        rows.append([f"{name} ({type(part).__name__})", *shapes[part], *near, *cost])
    table = table_of(rows, f"{type(model).__name__}, one image of {images.size(2)}×{images.size(3)}")
    table.add_section()
    total = sum(flops.get(name, 0) for name in parts)
    table.add_row("all", "", "", "", "", f"{count_parameters(model):,}", f"{total / 2e6:.1f}")
    return table
