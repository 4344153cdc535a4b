"""Pictures of graphs and of training, with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch_geometric.data import Data

from vig_pyg.checks import check_kind, check_whole
from vig_pyg.study.views import View, check_block, grid_of, node_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart by color-blind readers as well (Wong, Nature Methods, 2011).
COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def draw_neighbors(axes: Axes, image: Tensor, graph: Data, nodes: Sequence[int], title: str = "") -> None:
    """Draw nodes and their neighbors over an image, as the paper's Figure 4 does.

    A center is marked by a pentagram, its neighbors by squares of the same color. Those of the first are as large as
    what they stand for, a patch or the window of patches that a pooled node is the mean of; those of the next smaller.

    Args:
        axes: Where to draw.
        image: ``[3, H, W]`` or ``[1, H, W]`` with values from 0 to 1.
        graph: ``pos`` in pixels and ``edge_index``; neighbors of a pooled graph are at ``pos_source``. What
            :func:`~vig_pyg.study.neighbors` and :class:`~vig_pyg.PatchGraph` return.
        nodes: The centers.
        title: Written above.

    Raises:
        TypeError, ValueError: the image or the graph is none, or has no such node.
    """
    from matplotlib.patches import Rectangle

    check_kind("a graph", Data, graph=graph)
    if graph.pos is None or graph.edge_index is None:
        raise ValueError("graph must have pos and edge_index, as those of neighbors and PatchGraph have")
    check_kind("a list of numbers of nodes", Sequence, nodes=nodes)
    for node in nodes:
        check_whole(0, **{"the number of a node": node})
        if node >= len(graph.pos):
            raise ValueError(f"there is no node {node}: the graph's are 0 to {len(graph.pos) - 1}")
    draw_image(axes, image, title)
    sources = graph.pos_source if "pos_source" in graph else graph.pos
    width, height = (2 * sources[0]).tolist()  # the first is in the middle of the first square
    for order, (node, color) in enumerate(zip(nodes, COLORS * len(nodes), strict=False)):
        neighbors = graph.edge_index[0][graph.edge_index[1] == node]
        w, h = width * 0.75**order, height * 0.75**order  # where two centers share a neighbor, both show
        for x, y in sources[neighbors].tolist():
            axes.add_patch(Rectangle((x - w / 2, y - h / 2), w, h, facecolor=color, edgecolor="white", alpha=0.6))
        x, y = graph.pos[node].tolist()
        axes.plot(x, y, marker="*", markersize=16, color=color, markeredgecolor="white", markeredgewidth=1)


def draw_image(axes: Axes, image: Tensor, title: str = "") -> None:
    """Draw an image ``[3, H, W]`` or ``[1, H, W]`` with values from 0 to 1, in coordinates of its pixels' corners."""
    check_kind("a tensor", Tensor, image=image)
    if image.dim() != 3 or image.size(0) not in (1, 3) or image.is_meta:
        raise ValueError(f"an image must have shape [3, H, W] or [1, H, W] and values, got {list(image.shape)}")
    height, width = image.shape[1:]
    picture = image.permute(1, 2, 0).clamp(0, 1).cpu().numpy()
    cmap = "gray" if image.size(0) == 1 else None
    axes.imshow(picture, cmap=cmap, vmin=0, vmax=1, alpha=0.75, extent=(0, width, height, 0))
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def draw_views(views: Sequence[View], blocks: Sequence[int], places: Sequence[tuple[float, float]]) -> Figure:
    """Draw the paper's Figure 4: a row per view, the image and then its graph in some blocks.

    Args:
        views: What models make of images.
        blocks: Numbers of blocks, counted from 1.
        places: Of the centers, as shares ``(down, right)`` of an image's height and width.

    Raises:
        ValueError: a model has no such block.
    """
    from matplotlib.figure import Figure

    shape = max(view.image.size(1) / view.image.size(2) for view in views)
    figure = Figure(figsize=(2.7 * (1 + len(blocks)), (2.7 * shape + 0.6) * len(views)), layout="constrained")
    for view, row in zip(views, figure.subplots(len(views), 1 + len(blocks), squeeze=False), strict=True):
        draw_image(row[0], view.image, f"{view.source}\n{view.model}")
        for block, axes in zip(blocks, row[1:], strict=True):
            graph = view.graphs[check_block(block, len(view.graphs)) - 1]
            rows, columns = grid_of(graph)
            nodes = [node_at(graph, place) for place in places]
            draw_neighbors(axes, view.image, graph, nodes, f"block {block}\n{rows}×{columns} nodes")
    return figure


def draw_curves(axes: Axes, curves: Mapping[str, Sequence[Sequence[float]]], label: str) -> None:
    """Draw the mean of several runs over epochs, one line per name, with the band from lowest to highest.

    Args:
        axes: Where to draw.
        curves: For every name its runs, each a value per epoch.
        label: What the values are.
    """
    for (name, runs), color in zip(curves.items(), COLORS * len(curves), strict=False):
        values = torch.tensor(runs)
        epochs = range(1, values.size(1) + 1)
        axes.plot(epochs, values.mean(0), label=name, color=color)
        axes.fill_between(epochs, values.amin(0), values.amax(0), color=color, alpha=0.15, linewidth=0)
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
