"""The graphs that a model builds of an image."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from timm.data import resolve_model_data_config
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.typing import PairTensor

from vig_pyg.blocks import Block
from vig_pyg.checks import check_kind
from vig_pyg.models.vision_gnn import VisionGNN


class View(NamedTuple):
    """What a model makes of an image: for pictures and pages."""

    model: str
    """The model, for the reader."""
    source: str
    """The image, for the reader."""
    image: Tensor
    """``[C, H, W]`` as the model sees it, from 0 to 1."""
    graphs: list[Data]
    """One per block, see :func:`neighbor_graphs`."""


def neighbors(model: VisionGNN, image: Tensor, block: int) -> Data:
    r"""Return the graph that a block builds of an image (paper, Figure 4).

    The neighbors of node ``i`` are ``edge_index[0, edge_index[1] == i]``, the nearest first. Node ``i`` is in
    row ``i // columns`` and column ``i % columns`` of the ``grid``.

    Args:
        model: A ViG or a Pyramid ViG.
        image: ``[C, H, W]``, prepared as the model wants it.
        block: Which one, counted from 1 as the paper does.

    Returns:
        ``Data`` with ``x [N, D]`` (after the block), ``pos [N, 2]`` (centers ``(x, y)`` in pixels), ``edge_index
        [2, E]`` from neighbor to node, ``edge_attr [E, 1]`` and ``grid [[rows, columns]]``; where neighbors are
        pooled nodes, ``edge_index[0]`` counts those, and they are at ``pos_source [M, 2]``. ``edge_attr`` is the
        distance that neighbors are chosen by, :math:`\lVert h_j / \lVert h_j \rVert - h_i / \lVert h_i \rVert
        \rVert` with ``h`` the features that the operator takes: from 0 to 2. (Pyramid ViG adds the relative position
        before it ranks them.)

    Raises:
        ValueError: the model has no such block, or the image does not fit it.
    """
    graphs = neighbor_graphs(model, image)
    return graphs[check_block(block, len(graphs)) - 1]


@torch.no_grad()
def neighbor_graphs(model: VisionGNN, image: Tensor) -> list[Data]:
    """Return the graphs of all blocks, as :func:`neighbors` does of one."""
    check_kind("a ViG or a Pyramid ViG", VisionGNN, model=model)
    check_kind("a tensor", Tensor, image=image)
    blocks = [layer for layer in model.blocks if isinstance(layer, Block)]
    directions: list[PairTensor] = []  # of what every operator takes: sources and targets

    def keep(_: nn.Module, inputs: tuple) -> None:
        sources, targets = inputs[0] if isinstance(inputs[0], tuple) else (inputs[0], inputs[0])
        directions.append((F.normalize(sources.float(), dim=1), F.normalize(targets.float(), dim=1)))

    hooks = [block.grapher.conv.register_forward_pre_hook(keep) for block in blocks]
    training = model.training
    try:
        _, batches = model.eval().forward_graphs(image[None])
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    graphs = [batch[0] for batch in batches]
    for graph, (sources, targets) in zip(graphs, directions, strict=True):
        source, target = graph.edge_index
        graph.edge_attr = (sources[source] - targets[target]).norm(dim=1, keepdim=True)
    return graphs


def view(model: VisionGNN, image: Tensor, name: str, source: str) -> View:
    """Return the graphs of a prepared image ``[C, H, W]`` beside the image itself, its normalization undone.

    Args:
        model: A ViG or a Pyramid ViG.
        image: Prepared as the model wants it.
        name: What to call the model.
        source: What to call the image.
    """
    config = resolve_model_data_config(model)
    mean, deviation = (torch.tensor(config[key]).view(-1, 1, 1) for key in ("mean", "std"))
    device = next(model.parameters()).device
    graphs = [graph.cpu() for graph in neighbor_graphs(model, image.to(device))]
    return View(name, source, (image.cpu() * deviation + mean).clamp(0, 1), graphs)


def grid_of(graph: Data) -> tuple[int, int]:
    """Return rows and columns of a graph's nodes."""
    rows, columns = graph.grid[0].tolist()
    return rows, columns


def node_at(graph: Data, place: tuple[float, float]) -> int:
    """Return the node over a place, given as shares ``(down, right)`` of the image's height and width."""
    rows, columns = grid_of(graph)
    return int(place[0] * rows) * columns + int(place[1] * columns)


def place_of(graph: Data, row: int, column: int) -> tuple[float, float]:
    """Return the middle of a node as shares ``(down, right)`` of the image's height and width.

    Raises:
        ValueError: the graph has no such row or column.
    """
    rows, columns = grid_of(graph)
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
