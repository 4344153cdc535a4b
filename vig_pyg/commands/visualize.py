"""``vig-pyg visualize``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product, zip_longest
from pathlib import Path
from typing import Annotated, Any

import timm
import torch
import typer
from torch import Tensor, nn
from torch_geometric.data import Data

from vig_pyg.blocks import NodeStem
from vig_pyg.commands.app import app, console
from vig_pyg.commands.options import Images, MaxPixels, Trust, asked, plug, side
from vig_pyg.data.folders import find_images
from vig_pyg.data.images import MAX_PIXELS
from vig_pyg.data.images import read_image as read_file
from vig_pyg.data.transforms import image_mode, inference_transform
from vig_pyg.files import check_place, write_whole
from vig_pyg.models.names import check_model_name
from vig_pyg.models.vision_gnn import VisionGNN
from vig_pyg.study.charts import PLACES, draw_panels, draw_views
from vig_pyg.study.page import graph_page
from vig_pyg.study.views import check_block, place_of, view
from vig_pyg.tasks.classifier import load_model
from vig_pyg.tasks.graphs import GraphClassification, read_graph
from vig_pyg.tasks.registry import task_of

FORMATS = (".png", ".svg", ".html")


@app.command()
def visualize(
    images: Images,
    model: Annotated[
        list[str] | None, typer.Option(help="A model of this library; repeat to compare. (default: vig_tiny)")
    ] = None,
    conv: Annotated[list[str] | None, plug("An operator for untrained models; repeat to compare.")] = None,
    graph: Annotated[list[str] | None, plug("A graph for untrained models; repeat to compare.")] = None,
    weights: Annotated[
        list[Path] | None, typer.Option(help="The folder of a run or of weights, or a file; repeat to compare.")
    ] = None,
    blocks: Annotated[
        str | None, typer.Option(help="Blocks such as 1,12, counted from 1. (default: first and last; in a page all)")
    ] = None,
    node: Annotated[
        list[str] | None,
        typer.Option(
            help="ROW,COL of a center in the first of these blocks, counted from 0; the number of a node in a graph. "
            "Repeat for several."
        ),
    ] = None,
    image_size: Annotated[int | None, side("Side of the images. (default: the model's own)")] = None,
    out: Annotated[
        Path | None, typer.Option(help="A file: .png, .svg or .html. (default: graphs.png, with --html graphs.html)")
    ] = None,
    html: Annotated[
        bool, typer.Option("--html", help="Write one page on which pointing at a patch lights its neighbors.")
    ] = False,
    max_pixels: MaxPixels = MAX_PIXELS,
    trust: Trust = False,
) -> None:
    """Show which patches are neighbors, block by block: the paper's Figure 4, or a page to explore.

    One block of one image under several models or graphs is a panel each.

    In a Pyramid ViG, later blocks have fewer nodes: there the node over the same place is the center. Weights that
    were trained on graphs take files of graphs, Data that torch.save wrote as FILE.pt.
    """
    out = Path("graphs.html" if html else "graphs.png") if out is None else out
    on_nodes = all(is_graph(place) for place in images)
    if on_nodes and html:
        raise ValueError("--html is for images: graphs without a grid are drawn as .png or .svg")
    formats = FORMATS[-1:] if html else FORMATS[:2] if on_nodes else FORMATS
    if out.suffix not in formats:
        raise ValueError(f"--out must end in {' or '.join(formats)}, got {str(out)!r}")
    files = list(dict.fromkeys(map(Path, images) if on_nodes else find_images(images)))
    models = list(chosen_models(model, conv, graph, weights, trust))
    views = [
        view(built, read_input(file, built, image_size), name, source)
        for file, source in zip(files, names_of(files), strict=True)
        for name, built in models
    ]
    depth = min(len(each.graphs) for each in views)
    asked_for = [] if blocks is None else whole_numbers(blocks, "--blocks must be numbers such as 1,12")
    numbers = sorted({check_block(number, depth) for number in asked_for})
    first = views[0].graphs[numbers[0] - 1 if numbers else 0]
    nodes, places = centers_of(node or [], first)
    check_place(out)
    if out.suffix == ".html":
        page = graph_page(views, numbers, places[0])
        write_whole(out, lambda path: path.write_text(page, encoding="utf-8"))
    else:
        if len(numbers) == len(files) == 1 and len(models) > 2:
            figure = draw_panels(views, numbers[0], places, nodes)
        else:
            figure = draw_views(views, numbers or sorted({1, depth}), places, nodes)
        write_whole(out, lambda path: figure.savefig(path, dpi=150, format=out.suffix[1:], bbox_inches="tight"))
    kind = "graph" if on_nodes else "image"
    console.print(f"Written to {out}: {'; '.join(name for name, _ in models)}; {len(files)} {kind}(s).")


def centers_of(texts: list[str], first: Data) -> tuple[list[int], list[tuple[float, float]]]:
    """Return the nodes that ``--node`` names in a graph, or their places in an image."""
    if "grid" not in first:
        return [whole_numbers(text, "--node must be the number of a node such as 40", 1)[0] for text in texts], []
    cells = [whole_numbers(text, "--node must be a row and a column such as 4,5", 2) for text in texts]
    return [], [place_of(first, row, column) for row, column in cells] or list(PLACES)


def chosen_models(
    models: list[str] | None, convs: list[str] | None, graphs: list[str] | None, weights: list[Path] | None, trust: bool
) -> Iterator[tuple[str, VisionGNN]]:
    """Yield every model that is asked for, after what to call it.

    Raises:
        ValueError: a model, an operator or a graph is not known, or the options do not fit each other.
        FileNotFoundError: there are no such weights.
    """
    if not weights:
        for name, conv, graph in product(models or ["vig_tiny"], convs or (None,), graphs or (None,)):
            plugged = asked(conv=conv, graph=graph)
            yield ", ".join([name, *plugged.values(), "untrained"]), untrained(name, **plugged)
        return
    if convs or graphs:
        option, own = ("--conv", "operator") if convs else ("--graph", "graph")
        raise ValueError(f"{option} is for untrained models: weights bring their own {own}")
    if models and len(models) != len(weights):
        raise ValueError(f"there are {len(weights)} --weights but {len(models)} --model: name one for each, or none")
    for path, architecture in zip_longest(weights, models or ()):
        if task_of(path, trust) == "graphs":
            built = ours(GraphClassification.load(path, model=architecture, trust=trust).model, str(path))
        else:
            built = ours(load_model(path, architecture, trust)[0], str(path))
        name = str(built.pretrained_cfg["architecture"])  # type: ignore[index]  # timm sets it
        yield f"{name}, {'/'.join(path.parts[-2:])}", built


def untrained(name: str, **options: Any) -> VisionGNN:
    """Return a model with its first weights, always the same."""
    check_model_name(name)
    torch.manual_seed(0)
    try:
        return ours(timm.create_model(name, **options), name)
    except TypeError as error:
        given = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise ValueError(f"{name} cannot be built with {given}: {error}") from None


def ours(model: nn.Module, name: str) -> VisionGNN:
    """Return a model of this library as what it is."""
    if not isinstance(model, VisionGNN):
        raise ValueError(f"{name} builds no graphs: it is no model of this library; vig-pyg models lists them")
    return model


def is_graph(place: str | Path) -> bool:
    """Return whether a file is one of a graph by its name."""
    return Path(place).suffix == ".pt"


def read_input(path: Path, model: VisionGNN, image_size: int | None) -> Tensor | Data:
    """Return an image file ``[C, H, W]`` as a model wants it, or the graph in a file for a model on nodes.

    Raises:
        ValueError: it cannot be read or prepared, or the model takes the other; names the file.
    """
    if isinstance(model.stem, NodeStem) != is_graph(path):
        wanted = "graphs (.pt)" if isinstance(model.stem, NodeStem) else "images: --weights names one that takes graphs"
        raise ValueError(f"{path} is not what the model takes, {wanted}")
    if is_graph(path):
        if image_size is not None:
            raise ValueError(f"--image-size {image_size} changes nothing: {path} is a graph")
        return read_graph(path)
    image = read_file(path, image_mode(model))
    try:
        return inference_transform(model, image_size)(image)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def whole_numbers(text: str, rule: str, count: int | None = None) -> list[int]:
    """Return the numbers in a text such as ``1,12``; one that breaks the rule is refused with it."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words) or count not in (None, len(words)):
        raise ValueError(f"{rule}, got {text!r}")
    return [int(word) for word in words]


def names_of(files: Sequence[Path]) -> list[str]:
    """Return what to call files: their names, or their whole paths where names are equal."""
    names = [file.name for file in files]
    return names if len(set(names)) == len(names) else [str(file) for file in files]
