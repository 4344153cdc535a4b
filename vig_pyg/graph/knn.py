"""Graphs of nearest neighbors in feature space (paper, Section 3.1)."""

from collections.abc import Callable
from functools import partial
from itertools import groupby
from typing import cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch_geometric import EdgeIndex

from vig_pyg.checks import check_flags
from vig_pyg.graph.checks import Backend, check_features, check_matrix, check_pair, check_search, graph_sizes
from vig_pyg.graph.edges import edges_from_neighbors
from vig_pyg.graph.layout import Grid, NodeLayout, check_nodes
from vig_pyg.graph.nearest import at_least_float32, nearest, of_usual_size, scaled_and_centered, unit_length
from vig_pyg.graph.points import Layout, PointLayout, as_layout
from vig_pyg.graph.position import RelativePosition
from vig_pyg.graph.protocol import Graph, Layouts
from vig_pyg.graph.registry import register_graph

FAR = -1e4  # the inner product with what fills a graph up; those of unit vectors and positions are between -2 and 2


def knn_graph(
    x: Tensor,
    k: int,
    batch: Tensor | None = None,
    *,
    dilation: int = 1,
    loop: bool = True,
    cosine: bool = False,
    y: Tensor | None = None,
    batch_y: Tensor | None = None,
    position: Tensor | None = None,
    position_y: Tensor | None = None,
    stochastic: bool = False,
    epsilon: float = 0.2,
    backend: Backend = "auto",
) -> EdgeIndex:
    r"""Link every node to its ``k`` nearest neighbors within its own graph.

    The distance is :math:`\lVert x_j - x_i \rVert^2 - 2\,p_j^\top p_i`, the second term only where positions are
    given (paper, Section 3.2). The nearest :math:`k \cdot d` are sorted by distance and every ``d``-th is kept,
    the nearest first (dilated aggregation, Li et al., "DeepGCNs", 2019). As in ``torch_cluster.knn``, ``x`` holds
    the nodes that are found, and ``y``, if given, those that search: edges run from ``x`` to ``y``.

    Args:
        x: Node features ``[N, C]``.
        k: Neighbors of every node.
        batch: The graph of every node, sorted, ``[N]``; None for a single graph.
        dilation: ``d``. In a graph with fewer than ``k·d`` candidates it shrinks to candidates // k.
        loop: A node may be its own neighbor, at distance zero. Only without ``y``.
        cosine: Features are scaled to unit length first, as ViG does.
        y: Features of the searching nodes ``[M, C]`` of a bipartite graph.
        batch_y: Their graphs ``[M]``.
        position: Embeddings ``[N, P]`` whose inner product brings nodes nearer.
        position_y: The same of the searching nodes ``[M, P]``.
        stochastic: With probability ``epsilon``, keep ``k`` random ones of the ``k·d`` nearest instead.
        epsilon: That probability.
        backend: ``"dense"`` (one matrix of distances), ``"blockwise"`` (memory independent of N²), ``"fused"`` (one
            Triton kernel, on CUDA), ``"torch_cluster"``, or ``"auto"``: what :func:`choose_backend` says, graph by
            graph.

    Returns:
        Edges ``[2, M·k]`` from neighbor to node, sorted by target and then by distance, as an
        :class:`~torch_geometric.EdgeIndex` with ``sparse_size=(N, M)``.

    Raises:
        ValueError: a rank, size, value or device does not fit; the sentence says which and what would be right.
        TypeError: features are not floating point, a batch vector is not integer, or an option is of another type.
    """
    check_search(k, dilation, backend, epsilon)
    check_flags(loop=loop, cosine=cosine, stochastic=stochastic)
    # Compiled code sees one operation: how many nodes a graph has is a value.
    search = torch.ops.vig_pyg.knn if torch.compiler.is_compiling() else _knn
    chance = epsilon if stochastic else 0.0
    found = search(x, k, batch, dilation, loop, cosine, y, batch_y, position, position_y, chance, backend)
    return edges_from_neighbors(found, len(x))


def _knn(
    x: Tensor,
    k: int,
    batch: Tensor | None,
    dilation: int,
    loop: bool,
    cosine: bool,
    y: Tensor | None,
    batch_y: Tensor | None,
    position: Tensor | None,
    position_y: Tensor | None,
    epsilon: float,
    backend: str,
) -> Tensor:
    """Return the neighbors of every node as rows of ``x``, ``[M, k]``; see :func:`knn_graph`."""
    check_features("x", x, position)
    sizes = graph_sizes("batch", batch, x)
    if y is None:
        if batch_y is not None or position_y is not None:
            raise ValueError("batch_y and position_y describe y, which is not given")
        y, sizes_y, position_y = x, sizes, position
    else:
        check_features("y", y, position_y)
        if not loop:
            raise ValueError("loop=False has no meaning between two sets of nodes: leave out either loop or y")
        sizes_y = graph_sizes("batch_y", batch_y, y)
    check_pair(x, y, position, position_y, sizes, sizes_y)
    sizes_y += [0] * (len(sizes) - len(sizes_y))
    for graph, (size, size_y) in enumerate(zip(sizes, sizes_y, strict=True)):
        if size_y and size < (needed := k + (not loop)):
            raise ValueError(
                f"k={k} neighbors{'' if loop else ' without the node itself'} need at least {needed} nodes, "
                f"but graph {graph} has {size}"
            )

    keys, queries = (unit_length(of_usual_size(v)) if cosine else at_least_float32(v) for v in (x, y))
    unit = cosine and not bool((keys == 0).all(1).any())  # a node without a direction keeps length zero
    if position is not None and position_y is not None:
        keys, queries = (torch.cat([keys, position.detach()], 1), torch.cat([queries, position_y.detach()], 1))
    keys, queries = scaled_and_centered(keys, queries, 0 if cosine else x.size(1), sizes, sizes_y)
    found, start, start_y = [], 0, 0
    for (size, size_y), run in groupby(zip(sizes, sizes_y, strict=True)):
        count = len(list(run))  # consecutive graphs of equal sizes are searched together
        stop, stop_y = start + count * size, start_y + count * size_y
        if size_y:
            neighbors = nearest(
                queries[start_y:stop_y].view(count, size_y, -1),
                keys[start:stop].view(count, size, -1),
                k,
                dilation,
                loop=loop,
                unit=unit,
                channels=x.size(1),
                epsilon=epsilon,
                backend=cast(Backend, backend),
            )
            found.append(_number_nodes(neighbors, start, size))
        start, start_y = stop, stop_y
    empty = torch.empty(0, k, dtype=torch.long, device=x.device)
    return torch.cat([empty, *found])


# Drawing at random, no two calls are the same.
_knn_op = torch.library.custom_op("vig_pyg::knn", _knn, mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
_knn_op.register_fake(lambda x, k, *rest: x.new_empty(len(x if rest[4] is None else rest[4]), k, dtype=torch.long))


@register_graph("knn", "dynamic")
class KNNGraph(Graph):
    """Links every node to its k nearest neighbors in feature space, itself among them, dilated.

    The graph of a Grapher; the distance is that of directions (cosine), optionally with positions.
    Called ``graph(x, layout)``, or with pairs ``(sources, targets)`` for a bipartite graph. It knows the layout
    and so, unlike :func:`knn_graph`, neither checks values nor waits for the device.

    Args:
        k: Neighbors of every node.
        dilation: Keep every ``dilation``-th of the ``k·dilation`` nearest; shrinks where nodes are too few.
        position: The relative position of the stage, or None.
        stochastic: In training, with probability ``epsilon``, keep ``k`` random ones of the ``k·dilation`` nearest.
        epsilon: That probability.
        backend: As in :func:`knn_graph`.

    Shapes:
        - x: ``[N, C]`` or ``([M, C], [N, C])``
        - output: edges ``[2, N·k]``
    """

    bipartite = True

    def __init__(
        self,
        k: int,
        dilation: int = 1,
        *,
        position: RelativePosition | None = None,
        stochastic: bool = False,
        epsilon: float = 0.2,
        backend: Backend = "auto",
    ) -> None:
        super().__init__()
        check_search(k, dilation, backend, epsilon)
        check_flags(stochastic=stochastic)
        if position is not None and not isinstance(position, RelativePosition):
            raise TypeError(f"position must be a RelativePosition or None, got {type(position).__name__}")
        self.k = k
        self.dilation = dilation
        self.position = position
        self.stochastic = stochastic
        self.epsilon = epsilon
        self.backend: Backend = backend

    def forward(self, x: Tensor | tuple[Tensor, Tensor], layout: Layouts | Tensor | None) -> EdgeIndex:
        """Return the edges, sorted by target and then by distance.

        Raises:
            ValueError: an image has too few nodes, or nodes do not fit their layout.
            TypeError: nodes are not floating point matrices, or a layout is none.
        """
        sources, targets = x if isinstance(x, tuple) and len(x) == 2 else (x, x)
        source_layout, target_layout = layout if isinstance(layout, tuple) and len(layout) == 2 else (layout, layout)
        if not (isinstance(source_layout, NodeLayout) and isinstance(target_layout, NodeLayout)):
            return self._of_points(
                sources, targets, as_layout(source_layout, sources), as_layout(target_layout, targets)
            )
        check_nodes(sources, targets, source_layout, target_layout)
        keys = unit_length(sources)
        queries = keys if targets is sources else unit_length(targets)
        found, start = [], 0
        for key_map, query_map in zip(source_layout.maps(keys), target_layout.maps(queries), strict=True):
            grid = Grid(*query_map.shape[:3])
            neighbors = self._nearest(query_map.flatten(1, 2), key_map.flatten(1, 2), grid)
            size = key_map.size(1) * key_map.size(2)
            found.append(_number_nodes(neighbors, start, size))
            start += grid.count * size
        return edges_from_neighbors(found[0] if len(found) == 1 else torch.cat(found), sources.size(0))

    def _of_points(self, sources: Tensor, targets: Tensor, source_layout: Layout, layout: Layout) -> EdgeIndex:
        """Return the edges between nodes without a grid."""
        for title, nodes in (("x", targets), ("the matrix of sources", sources)):
            check_matrix(title, nodes)
        if not (isinstance(source_layout, PointLayout) and isinstance(layout, PointLayout)):
            raise TypeError("sources and targets must both be on a grid, or neither")
        keys, queries, channels = unit_length(sources), unit_length(targets), sources.size(1)
        if self.position is not None and layout.has_places:
            own, pooled = self.position.embeddings_of(layout, source_layout, queries)
            queries, keys = torch.cat([queries, own], 1), torch.cat([keys, pooled], 1)
        if min(source_layout.counts) < self.k:
            raise ValueError(
                f"k={self.k} neighbors need at least {self.k} nodes, but graph "
                f"{source_layout.counts.index(min(source_layout.counts))} offers {min(source_layout.counts)}: "
                "use larger graphs or a smaller k"
            )
        found = nearest_in_graphs(
            queries,
            keys,
            layout.counts,
            source_layout.counts,
            self.k,
            self.dilation,
            channels=channels,
            epsilon=self.epsilon if self.training and self.stochastic else 0.0,
            backend=self.backend,
        )
        return edges_from_neighbors(found, sources.size(0))

    def _nearest(self, queries: Tensor, keys: Tensor, grid: Grid) -> Tensor:
        if keys.size(1) < self.k:
            raise ValueError(
                f"k={self.k} neighbors need at least {self.k} nodes, but an image of {grid.height}×{grid.width} "
                f"nodes offers {keys.size(1)}: use larger images or a smaller k"
            )
        bias, channels = None, keys.size(2)
        if self.position is not None:
            bias = self.position.bias(grid)
            if bias is not None:
                bias = bias.to(queries.dtype)
            else:
                own, pooled = self.position.embeddings(grid, queries)
                queries = torch.cat([queries, own.expand(grid.count, -1, -1)], 2)
                keys = torch.cat([keys, pooled.expand(grid.count, -1, -1)], 2)
        return nearest(
            queries,
            keys,
            self.k,
            self.dilation,
            unit=True,
            channels=channels,
            bias=bias,
            epsilon=self.epsilon if self.training and self.stochastic else 0.0,
            backend=self.backend,
        )


@register_graph("static")
class StaticKNNGraph(KNNGraph):
    """The graph of the first block at a resolution, or the ``Batch``'s own edges, for all blocks there."""

    static = True


def nearest_in_graphs(
    queries: Tensor,
    keys: Tensor,
    counts_y: list[int],
    counts: list[int],
    k: int,
    dilation: int,
    *,
    channels: int,
    epsilon: float,
    backend: Backend,
) -> Tensor:
    """Return the neighbors of nodes of unit length as rows of ``keys``, ``[M, k]``, graph by graph.

    Graphs of other sizes are searched together too, the smaller ones filled up with keys that nobody chooses, where
    that makes less than twice as many nodes.
    """
    search = partial(nearest, k=k, dilation=dilation, unit=True, channels=channels, epsilon=epsilon, backend=backend)
    if len(set(counts)) > 1 and len(counts) * max(counts) <= 2 * len(keys) and min(counts) >= k * dilation:
        return _nearest_padded(search, queries, keys, counts_y, counts)
    found, start, start_y = [], 0, 0
    for (size, size_y), run in groupby(zip(counts, counts_y, strict=True)):
        count = len(list(run))
        stop, stop_y = start + count * size, start_y + count * size_y
        own, others = queries[start_y:stop_y].view(count, size_y, -1), keys[start:stop].view(count, size, -1)
        found.append(_number_nodes(search(own, others), start, size))
        start, start_y = stop, stop_y
    return torch.cat(found)


def _nearest_padded(
    search: Callable[[Tensor, Tensor], Tensor], queries: Tensor, keys: Tensor, counts_y: list[int], counts: list[int]
) -> Tensor:
    """Search graphs of several sizes as if all had as many nodes as the largest."""
    queries = torch.cat([queries, queries.new_ones(len(queries), 1)], 1)
    keys = torch.cat([keys, keys.new_zeros(len(keys), 1)], 1)
    own = pad_sequence(list(queries.split(counts_y)), batch_first=True)
    others = pad_sequence(list(keys.split(counts)), batch_first=True)
    size, size_y = (torch.tensor(c, device=keys.device).unsqueeze(1) for c in (counts, counts_y))
    others[..., -1].masked_fill_(torch.arange(others.size(1), device=keys.device) >= size, FAR)
    found = search(own, others) + (size.cumsum(0) - size).unsqueeze(2)
    return found[torch.arange(own.size(1), device=keys.device) < size_y]


def _number_nodes(neighbors: Tensor, start: int, size: int) -> Tensor:
    """Turn places within one image ``[B, N, k]`` into rows of the node matrix ``[B·N, k]``."""
    first = torch.arange(neighbors.size(0), device=neighbors.device) * size + start
    return (neighbors + first.view(-1, 1, 1)).flatten(0, 1)
