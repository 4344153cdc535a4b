"""Graphs of nearest neighbours in feature space (paper, Section 3.1)."""

import logging
from importlib.util import find_spec
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric import EdgeIndex

from vig_pyg.graph.checks import Backend, check_features, check_flags, check_pair, check_search, graph_sizes
from vig_pyg.graph.edges import edges_from_neighbours
from vig_pyg.graph.layout import Grid, NodeLayout, check_nodes
from vig_pyg.graph.position import RelativePosition
from vig_pyg.kernels import nearest_blockwise, nearest_cluster, nearest_dense, nearest_fused

log = logging.getLogger(__name__)


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
    r"""Link every node to its ``k`` nearest neighbours within its own graph.

    The distance is :math:`\lVert x_j - x_i \rVert^2 - 2\,p_j^\top p_i`, the second term only where positions are
    given (paper, Section 3.2). The nearest :math:`k \cdot d` are sorted by distance and every ``d``-th is kept,
    the nearest first (dilated aggregation, Li et al., "DeepGCNs", 2019). As in ``torch_cluster.knn``, ``x`` holds
    the nodes that are found, and ``y``, if given, those that search: edges run from ``x`` to ``y``.

    Args:
        x: Node features ``[N, C]``.
        k: Neighbours of every node.
        batch: The graph of every node, sorted, ``[N]``; None for a single graph.
        dilation: ``d``. In a graph with fewer than ``k·d`` candidates it shrinks to candidates // k.
        loop: A node may be its own neighbour, at distance zero. Only without ``y``.
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
        Edges ``[2, M·k]`` from neighbour to node, sorted by target and then by distance, as an
        :class:`~torch_geometric.EdgeIndex` with ``sparse_size=(N, M)``.

    Raises:
        ValueError: a rank, size, value or device does not fit; the sentence says which and what would be right.
        TypeError: features are not floating point, a batch vector is not integer, or an option is of another type.
    """
    check_search(k, dilation, backend, epsilon)
    check_flags(loop=loop, cosine=cosine, stochastic=stochastic)
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
                f"k={k} neighbours{'' if loop else ' without the node itself'} need at least {needed} nodes, "
                f"but graph {graph} has {size}"
            )

    keys, queries = (_unit(_of_usual_size(v)) if cosine else _at_least_float32(v) for v in (x, y))
    unit = cosine and not bool((keys == 0).all(1).any())  # a node without a direction keeps length zero
    if position is not None and position_y is not None:
        keys, queries = (torch.cat([keys, position.detach()], 1), torch.cat([queries, position_y.detach()], 1))
    keys, queries = _scaled_and_centred(keys, queries, 0 if cosine else x.size(1), sizes, sizes_y)
    found, start, start_y = [], 0, 0
    for (size, size_y), run in groupby(zip(sizes, sizes_y, strict=True)):
        count = len(list(run))  # consecutive graphs of equal sizes are searched together
        stop, stop_y = start + count * size, start_y + count * size_y
        if size_y:
            neighbours = nearest(
                queries[start_y:stop_y].view(count, size_y, -1),
                keys[start:stop].view(count, size, -1),
                k,
                dilation,
                loop=loop,
                unit=unit,
                channels=x.size(1),
                shuffle=stochastic and bool(torch.rand(()) < epsilon),
                backend=backend,
            )
            found.append(_number_nodes(neighbours, start, size))
        start, start_y = stop, stop_y
    empty = torch.empty(0, k, dtype=torch.long, device=x.device)
    return edges_from_neighbours(torch.cat([empty, *found]), len(x))


class KNNGraph(nn.Module):
    """Builds the graph of a Grapher: cosine neighbours with self-loops, dilated, optionally with positions.

    Called ``graph(x, layout)``, or with pairs ``(sources, targets)`` for a bipartite graph. It knows the layout
    and so, unlike :func:`knn_graph`, neither checks values nor waits for the device.

    Args:
        k: Neighbours of every node.
        dilation: Keep every ``dilation``-th of the ``k·dilation`` nearest; shrinks where nodes are too few.
        position: The relative position of the stage, or None.
        stochastic: In training, with probability ``epsilon``, keep ``k`` random ones of the ``k·dilation`` nearest.
        epsilon: That probability.
        backend: As in :func:`knn_graph`.

    Shapes:
        - x: ``[N, C]`` or ``([M, C], [N, C])``
        - output: edges ``[2, N·k]``
    """

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

    def forward(
        self, x: Tensor | tuple[Tensor, Tensor], layout: NodeLayout | tuple[NodeLayout, NodeLayout]
    ) -> EdgeIndex:
        """Return the edges, sorted by target and then by distance.

        Raises:
            ValueError: an image has too few nodes, or nodes do not fit their layout.
            TypeError: nodes are not floating point matrices, or a layout is none.
        """
        sources, targets = x if isinstance(x, tuple) and len(x) == 2 else (x, x)
        source_layout, target_layout = layout if isinstance(layout, tuple) and len(layout) == 2 else (layout, layout)
        check_nodes(sources, targets, source_layout, target_layout)
        keys = _unit(sources)
        queries = keys if targets is sources else _unit(targets)
        shuffle = self.training and self.stochastic and bool(torch.rand(()) < self.epsilon)
        found, start = [], 0
        for key_map, query_map in zip(source_layout.maps(keys), target_layout.maps(queries), strict=True):
            grid = Grid(*query_map.shape[:3])
            neighbours = self._nearest(query_map.flatten(1, 2), key_map.flatten(1, 2), grid, shuffle)
            size = key_map.size(1) * key_map.size(2)
            found.append(_number_nodes(neighbours, start, size))
            start += grid.count * size
        return edges_from_neighbours(found[0] if len(found) == 1 else torch.cat(found), sources.size(0))

    def _nearest(self, queries: Tensor, keys: Tensor, grid: Grid, shuffle: bool) -> Tensor:
        if keys.size(1) < self.k:
            raise ValueError(
                f"k={self.k} neighbours need at least {self.k} nodes, but an image of {grid.height}×{grid.width} "
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
            shuffle=shuffle,
            backend=self.backend,
        )

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows."""
        return f"k={self.k}, dilation={self.dilation}"


def choose_backend(num_queries: int, num_keys: int, channels: int, device: torch.device | str = "cpu") -> Backend:
    """Return the backend that ``"auto"`` takes for one graph.

    Trees find neighbours fastest among many points in two or three dimensions, matrix products in many
    dimensions; beyond 2²⁴ distances these go block by block.
    """
    pairs = num_queries * num_keys
    on_cpu = torch.device(device).type == "cpu"
    if channels <= 3 and pairs > 1 << 20 and on_cpu and find_spec("torch_cluster") is not None:
        return "torch_cluster"
    return "blockwise" if pairs > 1 << 24 else "dense"


def nearest(
    queries: Tensor,
    keys: Tensor,
    k: int,
    dilation: int,
    *,
    unit: bool,
    channels: int,
    loop: bool = True,
    bias: Tensor | None = None,
    shuffle: bool = False,
    backend: Backend = "auto",
) -> Tensor:
    """Return the dilated neighbours of ``queries [B, N, C + P]`` among ``keys [B, M, C + P]`` as ``[B, N, k]``.

    The first ``channels`` are features, compared by distance, the rest positions, compared by inner product.
    ``unit`` says that all features have length one, ``bias [N, M]`` is added to the inner products, and
    ``shuffle`` draws ``k`` of the ``k·dilation`` nearest at random.
    """
    dilation = min(dilation, (keys.size(1) - (not loop)) // k)
    positions = bias is not None or keys.size(2) > channels
    if backend == "auto":
        backend = choose_backend(queries.size(1), keys.size(1), keys.size(2), keys.device)
        if positions and backend == "torch_cluster":
            backend = "blockwise"
        if not torch.compiler.is_compiling():
            log.debug("auto: %s for %d × %d nodes", backend, queries.size(1), keys.size(1))
    if backend == "torch_cluster":
        if positions:
            raise ValueError("backend='torch_cluster' cannot add positions: use 'dense' or 'blockwise'")
        found = nearest_cluster(queries, keys, k * dilation, loop=loop)
    else:
        if not unit:
            queries = torch.cat([queries, queries.new_ones(()).expand(*queries.shape[:2], 1)], 2)
            keys = torch.cat([keys, -keys[..., :channels].square().sum(2, keepdim=True) / 2], 2)
        device_type = "cpu" if keys.is_meta else keys.device.type
        with torch.autocast(device_type, enabled=False):  # half precision would change neighbours
            if backend == "fused":
                found = nearest_fused(queries, keys, k * dilation, bias=bias, loop=loop)
            elif backend == "blockwise" and bias is None:
                found = nearest_blockwise(queries, keys, k * dilation, loop=loop)
            else:
                found = nearest_dense(queries, keys, k * dilation, bias=bias, loop=loop)
    if shuffle:
        return found[..., torch.randperm(k * dilation, device=found.device)[:k]]
    return found[..., ::dilation]


def _unit(x: Tensor) -> Tensor:
    return F.normalize(_at_least_float32(x), dim=1)


def _at_least_float32(x: Tensor) -> Tensor:
    return x.detach().float() if x.dtype in (torch.float16, torch.bfloat16) else x.detach()


def _of_usual_size(x: Tensor) -> Tensor:
    """Scale every row so that its length neither overflows nor vanishes; rows of zeros stay."""
    x = _at_least_float32(x)
    return x * _to_about_one(x.abs().amax(1, keepdim=True))


def _to_about_one(largest: Tensor) -> Tensor:
    """Return powers of two, which round nothing, that bring ``largest`` near one as far as its type allows."""
    limit = 1000 if largest.dtype == torch.float64 else 120
    return torch.ldexp(torch.ones_like(largest), -largest.frexp().exponent.clamp(-limit, limit))


def _scaled_and_centred(
    keys: Tensor, queries: Tensor, channels: int, sizes: list[int], sizes_y: list[int]
) -> tuple[Tensor, Tensor]:
    """Scale every graph to values about one, then move its first ``channels`` to their mean.

    The order of distances stays, squares neither overflow nor vanish, and points far from the origin keep their
    precision.
    """
    of_graph, of_graph_y = (torch.tensor(s, device=keys.device) for s in (sizes, sizes_y))
    largest = keys.new_zeros(len(sizes))
    for values, lengths in ((keys, of_graph), (queries, of_graph_y)):
        peaks = torch.segment_reduce(values.abs().amax(1), "max", lengths=lengths, initial=0.0)
        largest = torch.maximum(largest, peaks)
    scale = _to_about_one(largest).unsqueeze(1)
    keys = keys * scale.repeat_interleave(of_graph, dim=0)
    queries = queries * scale.repeat_interleave(of_graph_y, dim=0)
    if channels:
        mean = torch.segment_reduce(keys[:, :channels].contiguous(), "mean", lengths=of_graph, initial=0.0)
        keys[:, :channels] -= mean.repeat_interleave(of_graph, dim=0)
        queries[:, :channels] -= mean.repeat_interleave(of_graph_y, dim=0)
    return keys, queries


def _number_nodes(neighbours: Tensor, start: int, size: int) -> Tensor:
    """Turn places within one image ``[B, N, k]`` into rows of the node matrix ``[B·N, k]``."""
    first = torch.arange(neighbours.size(0), device=neighbours.device) * size + start
    return (neighbours + first.view(-1, 1, 1)).flatten(0, 1)
