"""The graphs that a model builds of an image, and pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from copy import copy
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from timm.data import resolve_model_data_config
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.typing import PairTensor

from vig_pyg.blocks import Block
from vig_pyg.checks import check_kind, check_whole
from vig_pyg.models.vision_gnn import VisionGNN
from vig_pyg.study.nodes import draw_links, draw_nodes, linked, places_of_linked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Told apart by color-blind readers as well (Wong, Nature Methods, 2011).
COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


class View(NamedTuple):
    """What a model makes of an image: for pictures and pages."""

    model: str
    """The model, for the reader."""
    source: str
    """The image, for the reader."""
    image: Tensor | Data
    """``[C, H, W]`` as the model sees it, from 0 to 1; or nodes without a grid."""
    graphs: list[Data]
    """One per block, see :func:`neighbor_graphs`."""


def neighbors(model: VisionGNN, image: Tensor | Data, block: int) -> Data:
    r"""Return the graph that a block builds of an image (paper, Figure 4) or of nodes without a grid.

    The neighbors of node ``i`` are ``edge_index[0, edge_index[1] == i]``, the nearest first. Node ``i`` is in
    row ``i // columns`` and column ``i % columns`` of the ``grid``.

    Args:
        model: A ViG or a Pyramid ViG.
        image: ``[C, H, W]``, prepared as the model wants it; or with ``stem="nodes"`` one graph, ``Data(x, pos)``.
        block: Which one, counted from 1 as the paper does.

    Returns:
        ``Data`` with ``x [N, D]`` (after the block), ``pos [N, 2]`` (centers ``(x, y)`` in pixels), ``edge_index
        [2, E]`` from neighbor to node, ``edge_attr [E, 1]`` and ``grid [[rows, columns]]``; where neighbors are
        pooled nodes, ``edge_index[0]`` counts those, and their centers are ``pos_source [M, 2]``. ``edge_attr`` is the
        distance that neighbors are chosen by, :math:`\lVert h_j / \lVert h_j \rVert - h_i / \lVert h_i \rVert
        \rVert` with ``h`` the features that the operator takes: from 0 to 2. (Pyramid ViG adds the relative position
        before it ranks them.) Nodes without a grid have no ``grid``, and ``pos`` as it was given, if it was.

    Raises:
        ValueError: the model has no such block, or the image does not fit it.
    """
    graphs = neighbor_graphs(model, image)
    return graphs[check_block(block, len(graphs)) - 1]


@torch.no_grad()
def neighbor_graphs(model: VisionGNN, image: Tensor | Data) -> list[Data]:
    """Return the graphs of all blocks, as :func:`neighbors` does of one."""
    check_kind("a ViG or a Pyramid ViG", VisionGNN, model=model)
    check_kind("an image [C, H, W] or a graph (Data)", Tensor | Data, image=image)
    if isinstance(image, Batch):
        raise ValueError(f"one graph can be looked at, got a batch of {image.num_graphs}: take batch[0]")
    blocks = [layer for layer in model.blocks if isinstance(layer, Block)]
    directions: list[PairTensor] = []  # of what every operator takes: sources and targets

    def keep(_: nn.Module, inputs: tuple) -> None:
        sources, targets = inputs[0] if isinstance(inputs[0], tuple) else (inputs[0], inputs[0])
        directions.append((F.normalize(sources.float(), dim=1), F.normalize(targets.float(), dim=1)))

    with ExitStack() as after:
        after.callback(model.train, model.training)
        for block in blocks:
            after.enter_context(block.grapher.conv.register_forward_pre_hook(keep))
        inputs = image[None] if isinstance(image, Tensor) else image
        graphs = [batch[0] for batch in model.eval().forward_graphs(inputs)[1]]
    for graph, (sources, targets) in zip(graphs, directions, strict=True):
        source, target = graph.edge_index
        graph.edge_attr = (sources[source] - targets[target]).norm(dim=1, keepdim=True)
    return graphs


def view(model: VisionGNN, image: Tensor | Data, name: str, source: str) -> View:
    """Return an image ``[C, H, W]`` that was prepared, or a graph, and the graphs that a model builds of it."""
    device = next(model.parameters()).device
    graphs = [graph.cpu() for graph in neighbor_graphs(model, copy(image).to(device))]  # PyG moves a graph itself
    return View(name, source, as_seen(model, image), graphs)


def as_seen(model: nn.Module, image: Tensor | Data) -> Tensor | Data:
    """Return an image with its normalization undone, or a graph as it is."""
    return without_normalization(model, image) if isinstance(image, Tensor) else image


def without_normalization(model: nn.Module, image: Tensor) -> Tensor:
    """Return an image ``[C, H, W]`` that was prepared for a model with values from 0 to 1 again."""
    config = resolve_model_data_config(model)
    mean, deviation = (torch.tensor(config[key][: len(image)]).view(-1, 1, 1) for key in ("mean", "std"))
    return (image.cpu() * deviation + mean).clamp(0, 1)


def source_grid(graph: Data) -> tuple[int, int] | None:
    """Return rows and columns of the sources of a graph's edges, or None where they are no grid, such as centroids."""
    centers = graph.pos_source if "pos_source" in graph else graph.pos
    columns, rows = (len(axis.unique()) for axis in centers.T)
    return (rows, columns) if rows * columns == len(centers) else None


def node_at(graph: Data, place: tuple[float, float]) -> int:
    """Return the node over a place, given as shares ``(down, right)`` of the image's height and width."""
    rows, columns = graph.grid[0].tolist()
    return int(place[0] * rows) * columns + int(place[1] * columns)


def place_of(graph: Data, row: int, column: int) -> tuple[float, float]:
    """Return the middle of a node as shares ``(down, right)`` of the image's height and width.

    Raises:
        ValueError: the graph has no such row or column.
    """
    rows, columns = graph.grid[0].tolist()
    if not (0 <= row < rows and 0 <= column < columns):
        raise ValueError(
            f"there is no node {row},{column}: rows go from 0 to {rows - 1} and columns from 0 to {columns - 1}"
        )
    return (row + 0.5) / rows, (column + 0.5) / columns


def check_block(block: int, depth: int) -> int:
    """Return the number of a block, which counts from 1.

    Raises:
        ValueError: the model has no such block.
    """
    if isinstance(block, bool) or not isinstance(block, int) or not 1 <= block <= depth:
        raise ValueError(f"there is no block {block!r}: this model's blocks are 1 to {depth}")
    return block


def draw_neighbors(axes: Axes, image: Tensor | Data, graph: Data, nodes: Sequence[int], title: str = "") -> None:
    """Draw nodes and their neighbors over an image, as the paper's Figure 4 does, or over nodes without a grid.

    A center is marked by a pentagram, its neighbors by squares of the same color. Those of the first are as large as
    what they represent, a patch or the window of patches that a pooled node is the mean of; those of the next smaller.
    Of nodes without a grid, neighbors are regions where nodes are superpixels, else points, and edges are lines. Where
    edges have weights, these are opacities. Of a hypergraph, the nodes of all hyperedges of the center are drawn.

    Args:
        axes: Where to draw.
        image: ``[3, H, W]`` or ``[1, H, W]`` with values from 0 to 1; or the nodes that the model was given, ``Data``
            with ``segments`` and ``image_size`` as of :class:`~vig_pyg.SuperpixelGraph`, or ``pos``.
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
    draw_inputs(axes, image, title)
    if isinstance(image, Data):
        return draw_links(axes, image, graph, nodes, [COLORS[order % len(COLORS)] for order in range(len(nodes))])
    sources = places_of_linked(graph)
    first = graph.pos[0] if source_grid(graph) is None else sources[0]
    width, height = (2 * first).tolist()  # the first center is in the middle of the first square
    for order, (node, color) in enumerate(zip(nodes, COLORS * len(nodes), strict=False)):
        neighbors, opacities = linked(graph, node)
        w, h = width * 0.75**order, height * 0.75**order  # where two centers share a neighbor, both show
        for (x, y), opacity in zip(sources[neighbors].tolist(), (0.6 * opacities).tolist(), strict=True):
            axes.add_patch(Rectangle((x - w / 2, y - h / 2), w, h, facecolor=color, edgecolor="white", alpha=opacity))
        x, y = graph.pos[node].tolist()
        axes.plot(x, y, marker="*", markersize=16, color=color, markeredgecolor="white", markeredgewidth=1)


def draw_inputs(axes: Axes, image: Tensor | Data, title: str = "") -> None:
    """Draw an image, or nodes without a grid."""
    draw = draw_nodes if isinstance(image, Data) else draw_image
    draw(axes, image, title)


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
