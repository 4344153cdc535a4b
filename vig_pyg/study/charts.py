"""Charts of what studies found and of graphs, with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from torch import Tensor
from torch_geometric.data import Data

from vig_pyg.graph import PatchGraph
from vig_pyg.study.nodes import centers
from vig_pyg.study.studies import Line
from vig_pyg.study.tables import GMACS, PUBLISHED, SPEED
from vig_pyg.study.trials import Result, StudyData
from vig_pyg.study.views import COLORS, View, as_seen, check_block, draw_inputs, draw_neighbors, node_at

PLACES = ((0.3, 0.35), (0.7, 0.6))  # two centers, as in the paper's Figure 4
FEW = 8  # lines that are told apart in one chart, or drawn in a row each
PHOTOGRAPH, PATCH = "china.jpg", 20
MARKERS = "osD^vP*X"  # one more than colors: pairs of both, cycled, differ for long


def chart_rows(lines: Sequence[Line], results: Sequence[Sequence[Result]]) -> Figure:
    """Return accuracies, a dot per seed and a bar at their mean; beside them the paper's on ImageNet, if any."""
    labels = [line.row.label for line in lines]
    paper = pd.Series([line.row.top1 for line in lines], dtype=float)
    known = bool(paper.notna().any())
    figure = Figure(figsize=(10 if known else 7, 1.3 + 0.42 * len(lines)), layout="constrained")
    panels = figure.subplots(1, 1 + known, sharey=True, squeeze=False)[0]
    for place, found in enumerate(results):
        values = [100 * result.accuracy for result in found]
        panels[0].plot(values, [place] * len(values), "o", color=COLORS[1], alpha=0.55, markeredgewidth=0)
        mean = sum(values) / len(values)
        panels[0].plot([mean, mean], [place - 0.28, place + 0.28], color=COLORS[0], linewidth=2.5)
    panels[0].set_xlabel("held-out accuracy, % (dots: seeds, bars: means)")
    if known:
        panels[1].plot(paper, range(len(paper)), "D", color=COLORS[2])
        panels[1].set_xlabel("the paper's ImageNet top-1, %")
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].set_ylim(len(labels) - 0.5, -0.5)
    for axes in panels:
        axes.margins(x=0.08)
        _plain(axes)
    return figure


def chart_curves(lines: Sequence[Line], results: Sequence[Sequence[Result]]) -> Figure:
    """Return held-out accuracy and training loss over the epochs: means over seeds, bands from lowest to highest."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    accuracies = [[[100 * epoch.accuracy for epoch in result.epochs] for result in found] for found in results]
    _bands(left, lines, accuracies)
    _bands(right, lines, [[[epoch.loss for epoch in result.epochs] for result in found] for found in results])
    left.set(xlabel="epoch", ylabel="held-out accuracy, %")
    right.set(xlabel="epoch", ylabel="training loss")
    last = min(values[-1] for runs in accuracies for values in runs)
    left.set_ylim(max(0, last - 5), min(100.5, left.get_ylim()[1]))  # early epochs would flatten what matters
    left.legend(frameon=False, loc="lower right")
    return figure


def chart_diversity(lines: Sequence[Line], results: Sequence[Sequence[Result]]) -> Figure:
    """Return the diversity of every layer: means over seeds, bands from lowest to highest (paper, Figure 3)."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    _bands(axes, lines, [[result.diversity or [] for result in found] for found in results])
    axes.set(xlabel="layer", ylabel="feature diversity (Eq. 9)")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return figure


def _bands(axes: Axes, lines: Sequence[Line], series: Sequence[Sequence[Sequence[float]]]) -> None:
    """Draw for every line the mean of its series, numbered from 1, and a band from lowest to highest."""
    for line, runs, color, marker in zip(lines, series, cycle(COLORS), cycle(MARKERS), strict=False):
        values = pd.DataFrame(runs)
        numbers = range(1, values.shape[1] + 1)
        axes.plot(numbers, values.mean(), marker=marker, color=color, label=line.row.label)
        axes.fill_between(numbers, values.min(), values.max(), color=color, alpha=0.15, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _plain(axes)


def chart_graphs(lines: Sequence[Line], results: Sequence[Sequence[Result]], data: StudyData) -> Figure:
    """Return the graphs of a held-out image or graph in every line's trained model.

    These are up to four blocks each; of many lines the first block alone.
    """
    views = []
    for line, found in zip(lines, results, strict=True):
        trial = line.trials[0]
        image = as_seen(trial.outline(data), trial.pictured(data))
        views.append(View(line.row.label, f"a held-out {_kind(image)}", image, found[0].graphs))
    if len(views) > FEW:
        return draw_panels(views, 1)
    last = min(len(view.graphs) for view in views) - 1
    return draw_views(views, sorted({1 + round(part * last / 3) for part in range(4)}))


def chart_models(frame: pd.DataFrame) -> Figure:
    """Return published accuracy against multiply-accumulates and against time, a line per family."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, cost, label in ((left, GMACS, "multiply-accumulates, billions"), (right, SPEED, "ms per image, here")):
        families = frame.groupby("family", sort=False)
        for (family, rows), color, marker in zip(families, cycle(COLORS), cycle(MARKERS), strict=False):
            ours = "ViG" in str(family) or family == "WiGNet"
            width, size = (2.5, 8) if ours else (1, 5)
            style = {"marker": marker, "color": color, "linewidth": width, "markersize": size}
            known = rows[rows[PUBLISHED].notna()]
            axes.plot(known[cost], known[PUBLISHED], label=family, **style)
        axes.set_xscale("log")
        axes.set_xlabel(label)
        _plain(axes)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    left.set_ylabel("published ImageNet top-1, %")
    figure.legend(*left.get_legend_handles_labels(), frameon=False, loc="outside right center")
    return figure


def _plain(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _kind(image: Tensor | Data) -> str:
    return "graph" if isinstance(image, Data) else "image"


def draw_views(
    views: Sequence[View],
    blocks: Sequence[int],
    places: Sequence[tuple[float, float]] = PLACES,
    nodes: Sequence[int] = (),
) -> Figure:
    """Draw the paper's Figure 4: a row per view, the image and then its graph in some blocks, counted from 1.

    The centers are at ``places``, shares ``(down, right)`` of an image's height and width. Nodes without a grid have
    numbers instead, ``nodes`` in the first of the blocks.

    Raises:
        ValueError: a model has no such block or node.
    """
    shape = max(_shape(view.image) for view in views)
    figure = Figure(figsize=(2.7 * (1 + len(blocks)), (2.7 * shape + 0.6) * len(views)), layout="constrained")
    for view, row in zip(views, figure.subplots(len(views), 1 + len(blocks), squeeze=False), strict=True):
        draw_inputs(row[0], view.image, f"{view.source}\n{view.model}")
        for block, axes in zip(blocks, row[1:], strict=True):
            graph = view.graphs[check_block(block, len(view.graphs)) - 1]
            chosen = _chosen(view, view.graphs[blocks[0] - 1], graph, places, nodes)
            count = graph.num_nodes if isinstance(view.image, Data) else "×".join(map(str, graph.grid[0].tolist()))
            draw_neighbors(axes, view.image, graph, chosen, f"block {block}\n{count} nodes")
    return figure


def draw_panels(
    views: Sequence[View],
    block: int,
    places: Sequence[tuple[float, float]] = PLACES,
    nodes: Sequence[int] = (),
    columns: int = 5,
) -> Figure:
    """Draw one block's graph in every view, a panel each: how :func:`draw_views` compares many graphs.

    Raises:
        ValueError: a model has no such block or node.
    """
    columns = min(columns, len(views))
    rows = -(-len(views) // columns)
    shape = max(_shape(view.image) for view in views)
    figure = Figure(figsize=(2.7 * columns, (2.7 * shape + 0.6) * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for axes, view in zip(panels, views, strict=False):
        graph = view.graphs[check_block(block, len(view.graphs)) - 1]
        title = f"{view.model}\n{graph.edge_index.size(1) / (graph.num_nodes or 1):.3g} edges per node"
        draw_neighbors(axes, view.image, graph, _chosen(view, graph, graph, places, nodes), title)
    for axes in panels[len(views) :]:
        axes.set_axis_off()
    return figure


def _chosen(
    view: View, first: Data, graph: Data, places: Sequence[tuple[float, float]], nodes: Sequence[int]
) -> list[int]:
    """Return the centers in a block's graph: at places in an image, or the nodes of these numbers in the first."""
    return centers(first, graph, nodes) if isinstance(view.image, Data) else [node_at(graph, each) for each in places]


def _shape(image: Tensor | Data) -> float:
    """Return the height of a picture as a share of its width."""
    if isinstance(image, Data):
        height, width = image.image_size[0].tolist() if "image_size" in image else (1, 1)
    else:
        height, width = image.shape[1:]
    return height / width


def draw_photograph() -> Figure:
    """Draw how scikit-learn's photograph becomes a graph: its patches, and two of them with their neighbors."""
    from sklearn.datasets import load_sample_image

    photograph = load_sample_image(PHOTOGRAPH).copy()
    graph = PatchGraph(PATCH, k=18, cosine=False)(photograph)
    image = torch.from_numpy(photograph).permute(2, 0, 1) / 255
    figure = Figure(figsize=(11, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_neighbors(left, image, graph, [], f"{graph.num_nodes} patches of {PATCH}×{PATCH} pixels")
    centers = [node_at(graph, place) for place in ((0.2, 0.17), (0.5, 0.3))]  # in the sky and on the temple
    draw_neighbors(right, image, graph, centers, "two patches and their 18 nearest in the space of pixel values")
    return figure
