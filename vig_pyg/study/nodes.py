"""Pictures of nodes without a grid: superpixels as regions, others as points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import Data

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FINE = 256  # pixels of a picture of regions, at least: borders are one of them wide
TURNED, RAISED = math.radians(30), math.radians(20)  # from where points in space are seen


def draw_nodes(axes: Axes, data: Data, title: str = "") -> None:
    """Draw superpixels in their mean colors, other nodes as points where they are.

    In places of an image, known by its ``image_size`` or ``grid``, y goes down as rows do; of other points it goes up.

    Args:
        axes: Where to draw.
        data: With ``segments`` and ``image_size`` as :class:`~vig_pyg.SuperpixelGraph` makes them, or ``pos [N, D]``.
        title: Written above.

    Raises:
        ValueError: the nodes have no places, or places in more than three dimensions.
    """
    if _regions(data) is None:
        x, y = flat(data.pos).T
        axes.scatter(x, y, s=9, color="0.6", linewidths=0)
        axes.set_aspect("equal")
        axes.margins(0.06)
        if "image_size" in data or "grid" in data:
            axes.invert_yaxis()
    else:
        _draw_regions(axes, data)
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def draw_links(axes: Axes, data: Data, graph: Data, nodes: Sequence[int], colors: Sequence[str]) -> None:
    """Draw over :func:`draw_nodes` each center as a star in its color, and its edges and neighbors in the same.

    Neighbors are regions where ``graph`` has the nodes of ``data``; pooled nodes are squares at their places. Of a
    hypergraph they are as in :func:`linked`, whose opacities are those of lines, squares and regions.
    """
    from matplotlib.collections import LineCollection

    targets = flat(graph.pos)
    sources = flat(places_of_linked(graph))
    regions = _regions(data) if len(sources) == data.num_nodes else None
    for node, color in zip(nodes, colors, strict=True):
        neighbors, opacity = linked(graph, node)
        ends = sources[neighbors]
        if regions is not None:
            of_nodes = torch.zeros(len(sources)).index_put((neighbors,), opacity)
            _tint(axes, of_nodes[regions], color)
        lines = torch.stack([ends, targets[node].expand_as(ends)], 1)
        marks: dict[str, Any] = {"s": 25, "marker": "s", "color": color, "alpha": opacity.tolist()}
        axes.scatter(*ends.T, edgecolors="white", linewidths=0.5, zorder=2.5, **marks)
        axes.add_collection(LineCollection(lines.tolist(), colors=color, linewidths=1, alpha=(0.8 * opacity).tolist()))
    for node, color in zip(nodes, colors, strict=True):  # on top of all neighbors
        axes.plot(*targets[node].tolist(), "*", markersize=16, color=color, markeredgecolor="white", zorder=3)


def linked(graph: Data, node: int) -> tuple[Tensor, Tensor]:
    """Return the neighbors of a node, rows of :func:`places_of_linked`, and how opaque to draw them, from 0 to 1.

    That is the weight of the edge beside the node's largest. The neighbors in a hypergraph are all nodes of the node's
    hyperedges, the more opaque the more of these they share.
    """
    edges = graph.edge_index[1] == node
    neighbors = graph.edge_index[0][edges]
    if "members" in graph:
        inside = torch.isin(graph.members[1], neighbors)
        neighbors, strength = graph.members[0][inside].unique(return_counts=True)
    else:
        strength = graph.edge_weight[edges].abs() if "edge_weight" in graph else torch.ones(len(neighbors))
    strength = strength.detach().float().cpu()
    return neighbors, strength / strength.amax().clamp(min=1e-12) if len(strength) else strength


def places_of_linked(graph: Data) -> Tensor:
    """Return the places of what a graph's pictures show as neighbors: of sources, or the nodes of hyperedges."""
    return graph.pos_source if "pos_source" in graph and "members" not in graph else graph.pos


def flat(pos: Tensor | None) -> Tensor:
    """Return where to draw places ``[N, D]``, ``[N, 2]``: those in space as seen from one side and a little above."""
    if pos is None:
        raise ValueError("the nodes cannot be drawn: they have no places (pos)")
    if pos.size(1) > 3:
        raise ValueError(f"nodes can be drawn in up to three dimensions, but pos has shape {list(pos.shape)}")
    pos = pos.detach().cpu().double()
    if pos.size(1) < 3:
        return F.pad(pos, (0, 2 - pos.size(1)))
    right = [math.cos(TURNED), math.sin(TURNED), 0]
    up = [-math.sin(TURNED) * math.sin(RAISED), math.cos(TURNED) * math.sin(RAISED), math.cos(RAISED)]
    return pos @ pos.new_tensor([right, up]).T


def centers(first: Data, graph: Data, nodes: Sequence[int]) -> list[int]:
    """Return the nodes of a block's graph that are at the places of those of an earlier block's, or nearest to them.

    Without any they are two of the first graph's, a third and two thirds down its list.

    Raises:
        ValueError: there is no such node.
    """
    count = first.num_nodes or 0
    for node in nodes:
        if node >= count:
            raise ValueError(f"there is no node {node}: the graph's are 0 to {count - 1}")
    chosen = list(nodes) or [count // 3, 2 * count // 3]
    if graph.num_nodes == count:
        return chosen
    return torch.cdist(first.pos[chosen].double(), graph.pos.double()).argmin(1).tolist()


def _regions(data: Data) -> Tensor | None:
    """Return the node of every pixel, ``[H, W]``, where the nodes are superpixels."""
    if "segments" not in data or "image_size" not in data:
        return None
    return data.segments.view(*data.image_size[0].tolist()).cpu()


def _draw_regions(axes: Axes, data: Data) -> None:
    numbers = _regions(data)
    assert numbers is not None
    height, width = numbers.shape
    times = max(1, math.ceil(FINE / max(height, width)))
    fine = numbers.repeat_interleave(times, 0).repeat_interleave(times, 1)
    picture = _colors(data)[fine]
    picture[:, 1:][fine[:, 1:] != fine[:, :-1]] = 0.5
    picture[1:][fine[1:] != fine[:-1]] = 0.5
    axes.imshow(picture.numpy(), extent=(0, width, height, 0), alpha=0.75)


def _colors(data: Data) -> Tensor:
    """Return the mean color of every superpixel, ``[N, 3]``, which comes first in its features; white without."""
    width = 0 if data.x is None else data.x.size(1)
    channels = (width - 3) // 2
    if channels not in (1, 3) or width != 2 * channels + 3:
        return torch.ones(data.num_nodes or 0, 3)
    return data.x[:, :channels].detach().cpu().float().clamp(0, 1).expand(-1, 3).contiguous()


def _tint(axes: Axes, opacity: Tensor, color: str) -> None:
    from matplotlib.colors import to_rgb

    height, width = opacity.shape
    layer = torch.cat([torch.tensor(to_rgb(color)).expand(height, width, 3), 0.55 * opacity.unsqueeze(2)], dim=2)
    axes.imshow(layer.numpy(), extent=(0, width, height, 0))
