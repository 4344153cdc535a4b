"""The figures of the site, each drawn by the code that it explains: ``python -m docs.figures``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import timm
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_sample_image
from torch import Tensor
from torch_geometric import nn as pyg
from torchvision.transforms.functional import center_crop, resize, to_tensor

import vig_pyg
from docs.cheatsheets import largest, results
from vig_pyg.study import diversity, draw_neighbors, neighbors
from vig_pyg.study.page import graph_page
from vig_pyg.study.views import COLORS, draw_image, view
from vig_pyg.train import build_model, fit, load_data, read_recipe

GENERATED = Path(__file__).parent / "generated"
SKY, ROOF = 14 * 2 + 3, 14 * 8 + 7  # two patches of the photograph, of 14×14


def photograph(size: int = 224) -> Tensor:
    """Return a photograph of a temple, ``[3, size, size]``."""
    return center_crop(resize(to_tensor(load_sample_image("china.jpg").copy()), size, antialias=True), size)


def standardized(image: Tensor) -> Tensor:
    """Return an image as the models take it."""
    return (image - 0.5) / 0.5


def untrained(name: str, **options: object) -> torch.nn.Module:
    """Return a model with its first weights, always the same."""
    torch.manual_seed(0)
    return timm.create_model(name, **options).eval()


def graph() -> Figure:
    """Draw a photograph, its patches, and two of these with their neighbors."""
    image = photograph()
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.5), layout="constrained")
    draw_image(axes[0], image, "224×224 pixels")
    draw_image(axes[1], image, "196 patches: the nodes")
    for place in range(0, 225, 16):
        axes[1].axhline(place, color="white", linewidth=0.6)
        axes[1].axvline(place, color="white", linewidth=0.6)
    found = vig_pyg.PatchGraph(16, k=9)(image)
    draw_neighbors(axes[2], image, found, [SKY, ROOF], "two nodes and their nearest in features")
    return figure


def dilation() -> Figure:
    """Draw the neighbors of one point at three dilations."""
    places = torch.cartesian_prod(torch.linspace(0, 1, 17), torch.linspace(0, 1, 17))
    points = places + 0.02 * torch.randn(places.shape, generator=torch.Generator().manual_seed(0))
    center = int((points - 0.5).norm(dim=1).argmin())
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.4), layout="constrained")
    for dilated, ax in enumerate(axes, start=1):
        source, target = vig_pyg.knn_graph(points, 9, dilation=dilated, loop=True)
        chosen = source[target == center]
        ax.scatter(*points.T, s=9, color="0.75")
        for other in chosen.tolist():
            ax.plot(*points[[center, other]].T, color=COLORS[1], linewidth=1)
        ax.scatter(*points[chosen].T, s=30, color=COLORS[1])
        ax.scatter(*points[center], s=170, marker="*", color=COLORS[0], edgecolor="white", zorder=3)
        ax.set(xlim=(0.25, 0.75), ylim=(0.25, 0.75), xticks=[], yticks=[], aspect="equal")
        ax.set_title(f"dilation {dilated}: {('the nearest', 'every second', 'every third')[dilated - 1]}", fontsize=10)
    return figure


def pooling() -> Figure:
    """Draw the neighbors of a node in the first and the last stage of a Pyramid ViG."""
    image, model = photograph(), untrained("pvig_tiny")
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.5), layout="constrained")
    for block, ax in zip((1, 3, 12), axes, strict=True):
        found = neighbors(model, standardized(image), block)
        rows, columns = found.grid[0].tolist()
        sources = len(found.pos_source) if "pos_source" in found else len(found.pos)
        node = int(rows * 0.55) * columns + int(columns * 0.5)
        draw_neighbors(ax, image, found, [node], f"block {block}: {rows * columns} nodes, {sources} to choose from")
    return figure


def max_relative() -> Figure:
    """Draw the size of the largest tensor of one call as neighbors grow."""
    degrees = (4, 8, 16, 24, 32, 48, 60)
    width = 8
    layers = {
        "max_relative": vig_pyg.MaxRelativeConv(width, width),
        "edge": vig_pyg.EdgeConv(width, width),
        "PyG's EdgeConv": pyg.EdgeConv(torch.nn.Linear(2 * width, width)),
        "PyG's GATv2Conv": pyg.GATv2Conv(width, width),
    }
    figure, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    for (name, layer), color in zip(layers.items(), COLORS[1:], strict=False):
        sizes = [largest(layer.eval(), 256, k, width) * k for k in degrees]
        ax.plot(degrees, sizes, "o-" if name != "edge" else "x--", label=name, color=color)
    ax.set(xlabel="neighbors of every node", ylabel="rows per node", title="The largest tensor that a call makes")
    ax.legend()
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def smoothing() -> Figure:
    """Draw how different nodes are from each other, as a share of their size, layer by layer."""
    image = standardized(photograph(112))[None]
    first = untrained("vig_tiny", img_size=112).forward_graphs(image)[1][0]
    mean, nodes = pyg.SimpleConv("mean"), [first.x]
    for _ in range(11):
        nodes.append(mean(nodes[-1], first.edge_index))
    lines = {"the mean of neighbors, again and again": nodes}
    for name, options in {"ViG's operator alone": {"ffn": False, "grapher_fc": False}, "ViG": {}}.items():
        graphs = untrained("vig_tiny", img_size=112, **options).forward_graphs(image)[1]
        lines[name] = [each.x for each in graphs]
    figure, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    for (name, each), color in zip(lines.items(), (COLORS[0], COLORS[4], COLORS[1]), strict=True):
        ax.plot(range(1, 13), [share_of_size(x.detach()) for x in each], "o-", label=name, color=color)
    ax.set(xlabel="layer", ylabel="diversity / size", title="How different the nodes of one image are", ylim=0)
    ax.legend()
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def share_of_size(x: Tensor) -> float:
    """Return the diversity of nodes as a share of their norm, which is the same one: from 0 to 1."""
    size = (x.abs().sum(0).max() * x.abs().sum(1).max()).sqrt()
    return diversity(x, tolerance=0.02) / float(size)


def choice() -> Figure:
    """Draw accuracy and time of every graph, from the committed study."""
    rows = results("study-graphs-cpu")
    names = [row["name"].split(",")[0] for row in rows if row["name"].endswith(", vig_micro")]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.6), layout="constrained", sharey=True)
    for model, color, shift in (("vig_micro", COLORS[0], 0.12), ("pvig_micro", COLORS[1], -0.12)):
        places = [place + shift for place in range(len(names), 0, -1)]
        found = [next(row for row in rows if row["name"] == f"{name}, {model}") for name in names]
        accuracies, spreads = ([row[key] for row in found] for key in ("accuracy (%)", "± (%)"))
        left.errorbar(accuracies, places, xerr=spreads, fmt="o", color=color, markersize=4, elinewidth=1, label=model)
        right.plot([row["ms per image"] for row in found], places, "o", color=color, markersize=4)
    left.set(yticks=range(len(names), 0, -1), yticklabels=names, xlabel="held-out digits, %, after two epochs")
    right.set(xlabel="ms per image, one thread", xlim=0)
    left.legend(loc="upper left")
    for ax in (left, right):
        ax.grid(axis="y", color="0.9")
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def first_picture() -> Figure:
    """Draw what the five minutes of the start lead to: the graphs of a network that was trained."""
    model, digit = trained()
    figure, axes = plt.subplots(1, 4, figsize=(9.6, 2.8), layout="constrained")
    for block, ax in enumerate(axes, start=1):
        found = neighbors(model, digit, block)
        draw_neighbors(ax, (digit + 1) / 2, found, [8 * 3 + 3, 8 * 6 + 4], f"block {block}")
    return figure


def trained() -> tuple[torch.nn.Module, Tensor]:
    """Return a ViG that has learned handwritten digits for two epochs, and one that it has not seen."""
    recipe = read_recipe("digits", ["epochs=2", "warmup_epochs=1"])
    data = load_data(recipe.data)
    torch.manual_seed(recipe.seed)
    model = build_model(recipe, len(data.classes), data.channels)
    fit(model, data, recipe)
    return model.cpu().eval(), data.test.images[0]


FIGURES: tuple[Callable[[], Figure], ...] = (
    graph,
    dilation,
    pooling,
    max_relative,
    smoothing,
    choice,
    first_picture,
)


def page() -> str:
    """Return the page on which pointing at a patch of the photograph lights its neighbors."""
    image = standardized(photograph())
    models = {f"vig_tiny, {word}, untrained": untrained("vig_tiny", graph=word) for word in ("knn", "axial")}
    return graph_page([view(model, image, name, "temple") for name, model in models.items()])


def main() -> None:
    """Write the figures and the page."""
    (GENERATED / "figures").mkdir(parents=True, exist_ok=True)
    (GENERATED / "extra").mkdir(exist_ok=True)
    for draw in FIGURES:
        draw().savefig(GENERATED / "figures" / f"{draw.__name__}.png", dpi=130)
    (GENERATED / "extra" / "graphs.html").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
