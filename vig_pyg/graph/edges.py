"""Edges sorted by target, in the two forms that the library uses."""

from collections.abc import Sequence
from weakref import ref

import torch
from torch import Tensor, nn
from torch_geometric import EdgeIndex
from torch_geometric.typing import Adj
from torch_geometric.utils import is_sparse, to_edge_index

from vig_pyg.graph.pyg_internals import changes_of, is_as_made, pointers_of, sorted_edge_index, was_changed
from vig_pyg.kernels.reduce import targets_of_edges

INDEX_TYPES = (torch.int64, torch.int32)
SHORT = torch.iinfo(torch.int16).max
KEPT_LISTS = 8


def edges_from_neighbors(neighbors: Tensor, num_sources: int) -> EdgeIndex:
    """Return edges ``j → i`` for every ``j`` in ``neighbors[i]``, in that order.

    The :class:`~torch_geometric.EdgeIndex` is sorted by target with its pointers filled in, so that operators
    reduce neighborhoods directly; it also remembers the degree as ``max_degree``.

    Shapes:
        - neighbors: ``[N, k]``, values below ``num_sources``
        - output: ``[2, N·k]``
    """
    num_targets, k = neighbors.shape
    device = neighbors.device
    target = torch.arange(num_targets, device=device).view(-1, 1).expand(-1, k)
    ptr = torch.arange(num_targets + 1, device=device) * k
    edges = torch.stack([neighbors.reshape(-1), target.reshape(-1)])
    return sorted_edge_index(edges, (num_sources, num_targets), ptr, k)


def edges_from_runs(runs: Sequence[Tensor], num_sources: int) -> EdgeIndex:
    """Return :func:`edges_from_neighbors` of matrices below each other that differ in width.

    Shapes:
        - runs: ``[N_r, k_r]`` each
        - output: ``[2, Σ N_r·k_r]``
    """
    widths = {run.size(1) for run in runs}
    if len(widths) == 1:
        return edges_from_neighbors(runs[0] if len(runs) == 1 else torch.cat(list(runs)), num_sources)
    degree = torch.cat([run.new_full((len(run),), run.size(1)) for run in runs])
    return edges_from_degrees(torch.cat([run.flatten() for run in runs]), degree, num_sources, max(widths))


def edges_from_degrees(source: Tensor, degree: Tensor, num_sources: int, max_degree: int) -> EdgeIndex:
    """Return edges from ``source``, sorted by target, of which target ``i`` has ``degree[i]``.

    Shapes:
        - source: ``[E]``
        - degree: ``[N]``, no more than ``max_degree`` each, ``E`` in all
        - output: ``[2, E]``
    """
    ptr = nn.functional.pad(degree.cumsum(0), (1, 0))
    edges = torch.stack([source, targets_of_edges(ptr, source.size(0))])
    return sorted_edge_index(edges, (num_sources, degree.size(0)), ptr, max_degree)


def compressed(edge_index: Adj) -> tuple[Tensor, Tensor, int]:
    """Return ``(ptr, index, max_degree)`` of an ``EdgeIndex``, or of a sparse ``adj_t``.

    The neighbors of target ``i`` are ``index[ptr[i] : ptr[i + 1]]``. Pointers that PyG keeps are not used: after
    ``flip``, ``sort_by`` or changes in place they may be of other edges.

    Shapes:
        - output: ``ptr [N + 1]``, ``index [E]``
    """
    if is_sparse(edge_index):
        adj = edge_index if isinstance(edge_index, Tensor) else edge_index.to_torch_sparse_csr_tensor()
        if adj.layout != torch.sparse_csr:
            adj = adj.to_sparse_csr()
        ptr = adj.crow_indices()
        return ptr, adj.col_indices(), _largest_degree(ptr)
    if not is_as_made(edge_index):
        edge_index = sorted_once(edge_index, *edge_index.get_sparse_size())
    (ptr, index), _ = edge_index.get_csc()
    return ptr, index, edge_index.max_degree


def _largest_degree(ptr: Tensor) -> int:
    return int(ptr.diff().max()) if ptr.numel() > 1 else 0


def edges_from_list(edge_index: Tensor, num_sources: int, num_targets: int) -> EdgeIndex:
    """Return an edge list ``[2, E]`` from sources to targets, sorted by target, with its pointers and largest degree.

    Raises:
        ValueError: an edge points outside.
    """
    check_range(edge_index, (num_sources, num_targets))
    return _by_target(edge_index, num_sources, num_targets)


def _by_target(edge_index: Tensor, num_sources: int, num_targets: int) -> EdgeIndex:
    """Return :func:`edges_from_list` of edges that are known to stay inside."""
    sources, targets = edge_list(edge_index)
    edges = sources.new_empty(2, len(sources), dtype=torch.int64)
    if isinstance(edge_index, EdgeIndex) and edge_index.is_sorted_by_col and _rises(targets):
        edges[0], edges[1] = sources, targets
    else:  # the narrower numbers are, the faster they are sorted: with 16 bits in a third of the time of 64
        narrow = targets.to(torch.int16 if num_targets <= SHORT else torch.int32)
        edges[1], order = narrow.sort(stable=True)
        edges[0] = sources.index_select(0, order)
    ptr = pointers_of(edges[1], num_targets)
    # Under .data, what filled the edges does not count as a change.
    return sorted_edge_index(edges.data, (num_sources, num_targets), ptr, _largest_degree(ptr))


def _rises(numbers: Tensor) -> bool:
    return not torch.compiler.is_compiling() and bool((numbers[1:] >= numbers[:-1]).all())


class _Sorted:
    """What edge lists were sorted into, for the last few that are alive and unchanged."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.kept: dict[int, tuple[ref[Tensor], tuple[int, ...], EdgeIndex]] = {}

    def get(self, edge_index: Tensor, sizes: tuple[int, int]) -> EdgeIndex:
        """Return the edges sorted by target."""
        changes = changes_of(edge_index)
        if torch.compiler.is_compiling() or changes is None:
            return _by_target(edge_index, *sizes)
        name, state = id(edge_index), (*changes, *sizes)
        kept = self.kept.pop(name, None)
        same = kept is not None and kept[0]() is edge_index and kept[1] == state
        edges = kept[2] if kept is not None and same else _by_target(edge_index, *sizes)
        self.kept[name] = ref(edge_index, lambda _: self.kept.pop(name, None)), state, edges
        while len(self.kept) > self.most:
            self.kept.pop(next(iter(self.kept)))
        return edges


_sorted = _Sorted(KEPT_LISTS)


def sorted_once(edge_index: Tensor, num_sources: int, num_targets: int) -> EdgeIndex:
    """Return :func:`edges_from_list` of a list or an ``EdgeIndex`` in any order, kept while that lives unchanged.

    That no edge points outside is for the caller to know.
    """
    return _sorted.get(edge_index, (num_sources, num_targets))


def in_order(adjacency: Adj, num_sources: int, num_targets: int) -> Adj:
    """Return a PyG adjacency as :func:`compressed` reads it: a sparse one as it is, edges :func:`sorted_once`.

    Edges with another size are taken for this one. Compiled code, which cannot look at edges that were not made here,
    gets a list of them as it is.
    """
    if is_sparse(adjacency):
        return adjacency
    if is_as_made(adjacency) and adjacency.sparse_size() == (num_sources, num_targets):
        return adjacency
    if torch.compiler.is_compiling():
        return edge_list(adjacency).long()
    return sorted_once(adjacency, num_sources, num_targets)


def edge_list(adjacency: Adj) -> Tensor:
    """Return any PyG adjacency as a plain edge list ``[2, E]``, sources first."""
    if isinstance(adjacency, EdgeIndex):
        return adjacency.as_tensor()
    if is_sparse(adjacency):
        return to_edge_index(adjacency)[0].flip(0)
    return adjacency


def check_edge_list(edge_index: Tensor, device: torch.device) -> None:
    """Refuse what is not an edge list ``[2, E]`` on a device, without a look at values.

    Raises:
        TypeError: it is no tensor, or does not hold whole numbers.
        ValueError: it has another shape, or is on another device.
    """
    if not isinstance(edge_index, Tensor):
        raise TypeError(f"edge_index must be a tensor or a sparse adjacency, got {type(edge_index).__name__}")
    if edge_index.dtype not in INDEX_TYPES:
        raise TypeError(f"edge_index must hold whole numbers, got {edge_index.dtype}: use torch.int64")
    if edge_index.dim() != 2 or edge_index.size(0) != 2:
        raise ValueError(f"edge_index must have shape [2, edges], got {list(edge_index.shape)}")
    if edge_index.device != device:
        raise ValueError(f"edge_index is on {edge_index.device}, but the nodes on {device}")


def check_range(edge_index: Tensor, sizes: tuple[int, int]) -> None:
    """Refuse edges ``[2, E]`` that point outside ``sizes`` (sources, targets), or are not sorted as they say.

    Compiled code cannot look at values and takes them as they are.

    Raises:
        ValueError: an edge points outside, or is in the wrong place; the sentence names it.
    """
    if torch.compiler.is_compiling() or edge_index.size(1) == 0:
        return
    ends = edge_list(edge_index)
    for name, end, size in zip(("source", "target"), ends, sizes, strict=True):
        low, high = (int(bound) for bound in torch.aminmax(end))
        if low < 0 or high >= size:
            wrong = low if low < 0 else high
            raise ValueError(f"an edge has {name} {wrong}, but there are {size} {name} nodes, 0 to {size - 1}")
    order = getattr(edge_index, "sort_order", None)
    if order is not None and not was_changed(edge_index):
        falls = ends[1 if order == "col" else 0].diff() < 0
        if falls.any():
            place = int(falls.nonzero()[0]) + 1
            raise ValueError(f"edge_index has sort_order={order!r}, but falls at position {place}: leave it out")
