"""The search for the nearest neighbors within every graph of a batch."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from typing import cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vig_pyg.graph.checks import Backend, check_features, check_pair, graph_sizes
from vig_pyg.graph.nearest import at_least_float32, nearest, of_usual_size, scaled_and_centered, unit_length

Search = Callable[[Tensor, Tensor], Tensor]
FAR = -1e4  # the inner product with what fills a graph up; those of unit vectors and positions are between -2 and 2


def neighbors_in_runs(
    x: Tensor,
    k: int,
    batch: Tensor | None = None,
    loop: bool = False,
    cosine: bool = False,
    num_workers: int = 1,
    batch_size: int | None = None,
    y: Tensor | None = None,
    batch_y: Tensor | None = None,
    dilation: int = 1,
    position: Tensor | None = None,
    position_y: Tensor | None = None,
    epsilon: float = 0.0,
    backend: str = "auto",
) -> list[Tensor]:
    """Return the neighbors of every node as rows of ``x``, the nearest first; see :func:`~vig_pyg.graph.knn_graph`.

    One matrix ``[nodes, neighbors]`` for each run of graphs of equal sizes, in their order.
    """
    if loop and y is not None:
        raise ValueError("loop=True has no meaning between two sets of nodes: leave out either loop or y")
    loop = loop or y is not None
    y, position_y, sizes, sizes_y = _both_sides(x, batch, batch_size, y, batch_y, position, position_y)
    keys, queries, unit = _comparable(x, y, position, position_y, cosine, sizes, sizes_y)
    options = partial(nearest, loop=loop, unit=unit, channels=x.size(1), epsilon=epsilon, num_workers=num_workers)
    search = partial(options, dilation=dilation, backend=cast(Backend, backend))
    found = []
    for count, (size, size_y), (start, start_y) in _equal_graphs(sizes, sizes_y):
        of_graph = min(k, size - (not loop))
        neighbors = torch.empty(count, size_y, 0, dtype=torch.long, device=x.device)
        if of_graph > 0:
            queried = queries[start_y : start_y + count * size_y].view(count, size_y, -1)
            offered = keys[start : start + count * size].view(count, size, -1)
            neighbors = search(queried, offered, of_graph)
        found.append(number_nodes(neighbors, start, size))
    return found or [torch.empty(0, k, dtype=torch.long, device=x.device)]


def nearest_in_graphs(
    search: Search, queries: Tensor, keys: Tensor, sizes_y: list[int], sizes: list[int], may_fill: bool
) -> Tensor:
    """Return the neighbors of nodes of unit length as rows of ``keys``, ``[M, k]``, graph by graph.

    Graphs of other sizes are searched together too, the smaller ones filled up with keys that nobody chooses, where
    that makes less than twice as many nodes and every graph has as many as are searched (``may_fill``).
    """
    if may_fill and len(set(sizes)) > 1 and len(sizes) * max(sizes) <= 2 * len(keys):
        return _nearest_filled(search, queries, keys, sizes_y, sizes)
    found = []
    for count, (size, size_y), (start, start_y) in _equal_graphs(sizes, sizes_y):
        queried = queries[start_y : start_y + count * size_y].view(count, size_y, -1)
        offered = keys[start : start + count * size].view(count, size, -1)
        found.append(number_nodes(search(queried, offered), start, size))
    return torch.cat(found)


def _nearest_filled(search: Search, queries: Tensor, keys: Tensor, sizes_y: list[int], sizes: list[int]) -> Tensor:
    """Search graphs of several sizes as if all had as many nodes as the largest."""
    queries = torch.cat([queries, queries.new_ones(len(queries), 1)], 1)
    keys = torch.cat([keys, keys.new_zeros(len(keys), 1)], 1)
    own = pad_sequence(list(queries.split(sizes_y)), batch_first=True)
    others = pad_sequence(list(keys.split(sizes)), batch_first=True)
    size, size_y = (torch.tensor(counts, device=keys.device).unsqueeze(1) for counts in (sizes, sizes_y))
    others[..., -1].masked_fill_(torch.arange(others.size(1), device=keys.device) >= size, FAR)
    found = search(own, others) + (size.cumsum(0) - size).unsqueeze(2)
    return found[torch.arange(own.size(1), device=keys.device) < size_y]


def _both_sides(
    x: Tensor,
    batch: Tensor | None,
    batch_size: int | None,
    y: Tensor | None,
    batch_y: Tensor | None,
    position: Tensor | None,
    position_y: Tensor | None,
) -> tuple[Tensor, Tensor | None, list[int], list[int]]:
    """Return ``y``, its positions, and how many nodes of ``x`` and of ``y`` every graph has, after checking them."""
    check_features("x", x, position)
    sizes = graph_sizes("batch", batch, x, batch_size)
    if y is None:
        if batch_y is not None or position_y is not None:
            raise ValueError("batch_y and position_y describe y, which is not given")
        y, sizes_y, position_y = x, sizes, position
    else:
        check_features("y", y, position_y)
        sizes_y = graph_sizes("batch_y", batch_y, y, batch_size)
    check_pair(x, y, position, position_y, sizes, sizes_y)
    return y, position_y, sizes, sizes_y + [0] * (len(sizes) - len(sizes_y))


def _comparable(
    x: Tensor,
    y: Tensor,
    position: Tensor | None,
    position_y: Tensor | None,
    cosine: bool,
    sizes: list[int],
    sizes_y: list[int],
) -> tuple[Tensor, Tensor, bool]:
    """Return what is compared of ``x`` and of ``y``, and whether all features have length one."""
    keys, queries = (unit_length(of_usual_size(v)) if cosine else at_least_float32(v) for v in (x, y))
    unit = cosine and not bool((keys == 0).all(1).any())  # a node without a direction keeps length zero
    if position is not None and position_y is not None:
        keys, queries = (torch.cat([keys, position.detach()], 1), torch.cat([queries, position_y.detach()], 1))
    return *scaled_and_centered(keys, queries, 0 if cosine else x.size(1), sizes, sizes_y), unit


def _equal_graphs(sizes: list[int], sizes_y: list[int]) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
    """Yield how many consecutive graphs have equal sizes, to be searched together, these sizes, and their first rows.

    Graphs without a searching node are left out.
    """
    start = start_y = 0
    for (size, size_y), run in groupby(zip(sizes, sizes_y, strict=True)):
        count = len(list(run))
        if size_y:
            yield count, (size, size_y), (start, start_y)
        start, start_y = start + count * size, start_y + count * size_y


def _knn(
    x: Tensor,
    k: int,
    batch: Tensor | None,
    loop: bool,
    cosine: bool,
    num_workers: int,
    batch_size: int | None,
    y: Tensor | None,
    batch_y: Tensor | None,
    dilation: int,
    position: Tensor | None,
    position_y: Tensor | None,
    epsilon: float,
    backend: str,
) -> Tensor:
    """Return :func:`neighbors_in_runs` as one matrix ``[M, k]``, whose size compiled code knows beforehand."""
    nodes = x, k, batch, loop, cosine, num_workers, batch_size, y, batch_y
    runs = neighbors_in_runs(*nodes, dilation, position, position_y, epsilon, backend)
    fewest = min(run.size(1) for run in runs)
    if fewest < k:
        raise ValueError(f"compiled, k={k} neighbors need {k} candidates in every graph, but one has {fewest}")
    return torch.cat(runs)


# Drawing at random, no two calls are the same.
_knn_op = torch.library.custom_op("vig_pyg::knn", _knn, mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
_knn_op.register_fake(lambda x, k, *rest: x.new_empty(len(x if rest[5] is None else rest[5]), k, dtype=torch.long))


def number_nodes(neighbors: Tensor, start: int, size: int) -> Tensor:
    """Turn places within one image ``[B, N, k]`` into rows of the node matrix ``[B·N, k]``."""
    first = torch.arange(neighbors.size(0), device=neighbors.device) * size + start
    return (neighbors + first.view(-1, 1, 1)).flatten(0, 1)
