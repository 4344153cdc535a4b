"""Graphs of all neighbors within a radius."""

import math

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from vig_pyg.checks import check_flags, check_whole
from vig_pyg.graph.checks import Flow, check_batched, check_radius
from vig_pyg.graph.edges import edges_from_degrees
from vig_pyg.graph.nearest import at_least_float32
from vig_pyg.graph.search import neighbors_in_runs
from vig_pyg.kernels.search import BLOCK_SCORES


@torch.compiler.disable  # how many edges there are is a value
def radius_graph(
    x: Tensor,
    r: float,
    batch: Tensor | None = None,
    loop: bool = False,
    max_num_neighbors: int = 32,
    flow: Flow = "source_to_target",
    num_workers: int = 1,
    batch_size: int | None = None,
) -> EdgeIndex:
    """Link every node to all that are nearer than ``r`` within its own graph, as PyG's ``radius_graph`` does.

    Where there are more than ``max_num_neighbors``, the nearest are kept (``torch_cluster`` keeps any).

    Args:
        x: Node features, or places, ``[N, C]``.
        r: The radius; a node at exactly this distance is outside, as for ``torch_cluster``.
        batch: The graph of every node, sorted, ``[N]``; None for a single graph.
        loop: A node is its own neighbor, and counts as one.
        max_num_neighbors: As many are searched for, so memory grows with ``N·max_num_neighbors``.
        flow: ``"target_to_source"`` turns every edge around: from node to neighbor, sorted by source.
        num_workers: As in :func:`~vig_pyg.graph.knn_graph`.
        batch_size: As there.

    Returns:
        Edges ``[2, E]`` from neighbor to node, sorted by target and then by distance, as an
        :class:`~torch_geometric.EdgeIndex` with ``sparse_size=(N, N)``.

    Raises:
        ValueError: a rank, size, value or device does not fit; the sentence says which and what would be right.
        TypeError: features are not floating point, a batch vector is not integer, or an option is of another type.
    """
    check_radius(r)
    check_whole(max_num_neighbors=max_num_neighbors)
    check_flags(loop=loop)
    check_batched(flow, num_workers, batch_size)
    runs = neighbors_in_runs(x, max_num_neighbors, batch, loop, num_workers=num_workers, batch_size=batch_size)
    nodes = torch.arange(len(x), device=x.device).split([len(run) for run in runs])
    near = [_within(r, at_least_float32(x), *pair) for pair in zip(nodes, runs, strict=True)]
    source = torch.cat([run[kept] for run, kept in zip(runs, near, strict=True)])
    degree = torch.cat([kept.sum(1) for kept in near])
    edges = edges_from_degrees(source, degree, len(x), int(degree.max()) if len(degree) else 0)
    return edges if flow == "source_to_target" else edges.flip(0)


def _within(r: float, x: Tensor, nodes: Tensor, neighbors: Tensor) -> Tensor:
    """Return which ``neighbors [M, k]`` are nearer than ``r`` to their ``nodes [M]``, ``[M, k]``."""
    # Scaled by a power of two, which rounds nothing, squares neither overflow nor vanish.
    limit = 1000 if x.dtype == torch.float64 else 120
    scale = 2.0 ** -max(-limit, min(limit, math.frexp(r)[1]))
    rows = max(1, BLOCK_SCORES // max(1, neighbors.size(1) * x.size(1)))
    near = [
        ((x[found] - x[own].unsqueeze(1)) * scale).square().sum(2) < (r * scale) ** 2
        for own, found in zip(nodes.split(rows), neighbors.split(rows), strict=True)
    ]
    return torch.cat(near)
