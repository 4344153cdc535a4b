"""Pictures of graphs and of training, with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch_geometric.data import Data

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Told apart by colour-blind readers as well (Wong, Nature Methods, 2011).
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def draw_neighbours(
    axes: Axes, image: Tensor, graph: Data, nodes: Sequence[int], patch: float, title: str = ""
) -> None:
    """Draw nodes and their neighbours over an image, as the paper's Figure 4 does.

    A centre is marked by a pentagram, its neighbours by squares of the same colour.

    Args:
        axes: Where to draw.
        image: ``[3, H, W]`` or ``[1, H, W]`` with values from 0 to 1.
        graph: ``pos`` in pixels and ``edge_index``; neighbours of a pooled graph lie at ``pos_source``.
        nodes: The centres.
        patch: Side of the squares in pixels.
        title: Written above.
    """
    from matplotlib.patches import Rectangle

    picture = image.permute(1, 2, 0).clamp(0, 1).cpu().numpy()
    axes.imshow(picture, cmap="gray" if image.size(0) == 1 else None, vmin=0, vmax=1, alpha=0.75)
    sources = graph.pos_source if "pos_source" in graph else graph.pos
    for node, colour in zip(nodes, COLOURS, strict=False):
        neighbours = graph.edge_index[0][graph.edge_index[1] == node]
        for x, y in sources[neighbours].tolist():
            corner = (x - patch / 2 - 0.5, y - patch / 2 - 0.5)
            axes.add_patch(Rectangle(corner, patch, patch, facecolor=colour, edgecolor="white", alpha=0.6))
        x, y = (graph.pos[node] - 0.5).tolist()
        axes.plot(x, y, marker="*", markersize=16, color=colour, markeredgecolor="white", markeredgewidth=1)
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def draw_curves(axes: Axes, curves: Mapping[str, Sequence[Sequence[float]]], label: str) -> None:
    """Draw the mean of several runs over epochs, one line per name, with the band from lowest to highest.

    Args:
        axes: Where to draw.
        curves: For every name its runs, each a value per epoch.
        label: What the values are.
    """
    for (name, runs), colour in zip(curves.items(), COLOURS * len(curves), strict=False):
        values = torch.tensor(runs)
        epochs = range(1, values.size(1) + 1)
        axes.plot(epochs, values.mean(0), label=name, color=colour)
        axes.fill_between(epochs, values.amin(0), values.amax(0), color=colour, alpha=0.15, linewidth=0)
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
