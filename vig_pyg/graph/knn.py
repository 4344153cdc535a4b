"""Graphs of nearest neighbors in feature space (paper, Section 3.1)."""

from functools import partial

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from vig_pyg.checks import check_flags
from vig_pyg.graph.checks import Backend, Flow, check_batched, check_matrix, check_search
from vig_pyg.graph.edges import edges_from_neighbors, edges_from_runs
from vig_pyg.graph.layout import Grid, NodeLayout, check_nodes
from vig_pyg.graph.nearest import nearest, unit_length
from vig_pyg.graph.points import Layout, PointLayout, as_layout
from vig_pyg.graph.position import RelativePosition
from vig_pyg.graph.protocol import Graph, Layouts
from vig_pyg.graph.registry import register_graph
from vig_pyg.graph.search import nearest_in_graphs, neighbors_in_runs, number_nodes
from vig_pyg.kernels.bias import Bias


def knn_graph(
    x: Tensor,
    k: int,
    batch: Tensor | None = None,
    loop: bool = False,
    flow: Flow = "source_to_target",
    cosine: bool = False,
    num_workers: int = 1,
    batch_size: int | None = None,
    *,
    y: Tensor | None = None,
    batch_y: Tensor | None = None,
    dilation: int = 1,
    position: Tensor | None = None,
    position_y: Tensor | None = None,
    stochastic: bool = False,
    epsilon: float = 0.2,
    backend: Backend = "auto",
) -> EdgeIndex:
    r"""Link every node to its ``k`` nearest neighbors within its own graph, as PyG's ``knn_graph`` does.

    The distance is :math:`\lVert x_j - x_i \rVert^2 - 2\,p_j^\top p_i`, the second term only where positions are
    given (paper, Section 3.2). The nearest :math:`k \cdot d` are sorted by distance and every ``d``-th is kept,
    the nearest first (dilated aggregation, Li et al., "DeepGCNs", 2019). As in ``torch_cluster.knn``, ``x`` holds
    the nodes that are found, and ``y``, if given, those that search: edges run from ``x`` to ``y``.

    A layer on a graph of its own features is one line; with ``conv = EdgeConv(C, D)``, this is
    PyG's ``DynamicEdgeConv(Linear(2 * C, D), k=20)``, which counts a node among its neighbors::

        x = conv(x, vig_pyg.knn_graph(x, 20, batch, loop=True))

    Args:
        x: Node features ``[N, C]``.
        k: Neighbors of every node. In a graph with fewer candidates, all of these; compiled code refuses that.
        batch: The graph of every node, sorted, ``[N]``; None for a single graph.
        loop: A node may be its own neighbor, at distance zero. Only without ``y``.
        flow: ``"target_to_source"`` turns every edge around: from node to neighbor, sorted by source.
        cosine: Features are scaled to unit length first, as ViG does.
        num_workers: Threads with which trees search a single graph; the others use torch's own threads.
        batch_size: Graphs in the batch, of which the last may be empty. Checked against ``batch``.
        y: Features of the searching nodes ``[M, C]`` of a bipartite graph.
        batch_y: Their graphs ``[M]``.
        dilation: ``d``. In a graph with fewer than ``k·d`` candidates it shrinks to candidates // k, to one at least:
            a graph with fewer than ``k`` gives all of them.
        position: Embeddings ``[N, P]`` whose inner product brings nodes nearer.
        position_y: The same of the searching nodes ``[M, P]``.
        stochastic: With probability ``epsilon``, keep ``k`` random ones of the ``k·d`` nearest instead.
        epsilon: That probability.
        backend: ``"dense"`` (one matrix of distances), ``"blockwise"`` (memory independent of N²), ``"fused"`` (one
            Triton kernel, on CUDA), ``"kdtree"`` (trees of SciPy, on the CPU), ``"torch_cluster"`` (other trees), or
            ``"auto"``: what :func:`choose_backend` says, graph by graph.

    Returns:
        Edges ``[2, E]`` from neighbor to node, ``E = M·k`` where all graphs have ``k`` candidates, sorted by target
        and then by distance, as an :class:`~torch_geometric.EdgeIndex` with ``sparse_size=(N, M)``.

    Raises:
        ValueError: a rank, size, value or device does not fit; the sentence says which and what would be right.
        TypeError: features are not floating point, a batch vector is not integer, or an option is of another type.
    """
    check_search(k, dilation, backend, epsilon)
    check_flags(loop=loop, cosine=cosine, stochastic=stochastic)
    check_batched(flow, num_workers, batch_size)
    chance = epsilon if stochastic else 0.0
    nodes = x, k, batch, loop, cosine, num_workers, batch_size, y, batch_y
    options = dilation, position, position_y, chance, backend
    if torch.compiler.is_compiling():  # sees one operation: how many nodes a graph has is a value
        edges = edges_from_neighbors(torch.ops.vig_pyg.knn(*nodes, *options), len(x))
    else:
        edges = edges_from_runs(neighbors_in_runs(*nodes, *options), len(x))
    return edges if flow == "source_to_target" else edges.flip(0)


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
            found.append(number_nodes(neighbors, start, size))
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
        epsilon = self.epsilon if self.training and self.stochastic else 0.0
        search = partial(nearest, k=self.k, dilation=self.dilation, unit=True, channels=channels, epsilon=epsilon)
        search = partial(search, backend=self.backend)
        padded = min(source_layout.counts) >= self.k * self.dilation
        found = nearest_in_graphs(search, queries, keys, layout.counts, source_layout.counts, padded)
        return edges_from_neighbors(found, sources.size(0))

    def _nearest(self, queries: Tensor, keys: Tensor, grid: Grid) -> Tensor:
        if keys.size(1) < self.k:
            raise ValueError(
                f"k={self.k} neighbors need at least {self.k} nodes, but an image of {grid.height}×{grid.width} "
                f"nodes offers {keys.size(1)}: use larger images or a smaller k"
            )
        bias: Bias | None = None
        if self.position is not None:
            table = self.position.bias(grid)
            bias = self.position.by_axis(grid, queries) if table is None else table.to(queries.dtype)
        return nearest(
            queries,
            keys,
            self.k,
            self.dilation,
            unit=True,
            channels=keys.size(2),
            bias=bias,
            epsilon=self.epsilon if self.training and self.stochastic else 0.0,
            backend=self.backend,
        )


@register_graph("static")
class StaticKNNGraph(KNNGraph):
    """The graph of the first block at a resolution, or the ``Batch``'s own edges, for all blocks there."""

    static = True
