"""What every operator of ours accepts."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.typing import Adj, OptPairTensor, OptTensor, PairTensor, Size
from torch_geometric.utils import is_sparse, to_edge_index

from vig_pyg.graph.edges import check_edge_list, check_range
from vig_pyg.graph.pyg_internals import is_as_made
from vig_pyg.kernels.linear import is_autocasting


def pair_of(x: Tensor | OptPairTensor) -> tuple[Tensor, OptTensor]:
    """Return features as ``(x_source, x_target)``; those of the targets may be missing.

    Raises:
        TypeError: they are neither a tensor nor a pair of tensors.
    """
    if isinstance(x, Tensor):
        return x, x
    if not isinstance(x, tuple | list) or len(x) != 2:
        what = f"{len(x)} of them" if isinstance(x, tuple | list) else type(x).__name__
        raise TypeError(f"node features must be a tensor, or a pair of sources and targets, got {what}")
    source, target = x
    if not isinstance(source, Tensor):
        raise TypeError(f"the sources of (x_source, x_target) must be a tensor, got {type(source).__name__}")
    if not isinstance(target, Tensor | None):
        raise TypeError(f"the targets of (x_source, x_target) must be a tensor or None, got {type(target).__name__}")
    return source, target


def check_inputs(
    x: Tensor | OptPairTensor,
    edge_index: Adj,
    channels: tuple[int, int],
    weight: Tensor,
    size: Size = None,
    edge_weight: OptTensor = None,
) -> tuple[PairTensor, Adj, OptTensor]:
    """Return ``(x_source, x_target)``, the edges and their weights after checking that they fit.

    Targets without features, ``(x_source, None)``, get zeros. Every sparse tensor comes back in CSR form, but COO,
    which may hold an edge twice, as an edge list, and so does one with values, which become the weights.

    Args:
        x: The features, or those of sources and targets.
        edge_index: Any PyG adjacency.
        channels: Widths that the features of sources and targets must have.
        weight: One of the operator's, whose type and device the features must have.
        size: How many sources and targets there are, to be checked.
        edge_weight: A factor per edge, ``[E]`` or ``[E, 1]``.

    Raises:
        TypeError: the features are no tensors or not of the weights' type, or the edges not whole numbers.
        ValueError: features of another rank, width or device, an edge that points outside, another ``size``, or weights
            that are not one per edge.
    """
    source, target = pair_of(x)
    if target is None:
        check_nodes_for(weight, channels[0], source)
        target = source.new_zeros(_num_targets(edge_index, size), channels[1])
    elif target is source and channels[0] == channels[1]:
        check_nodes_for(weight, channels[0], source)
    else:
        check_nodes_for(weight, channels[0], source)
        check_nodes_for(weight, channels[1], target)
    pair, sizes = (source, target), (source.size(0), target.size(0))
    if size is not None:
        _check_size(size, sizes)
    if is_sparse(edge_index):
        return pair, *_sparse_edges(edge_index, sizes, edge_weight)
    if edge_weight is not None:
        edge_weight = _checked_weight(edge_weight, edge_index, weight)
    if not (is_as_made(edge_index) and edge_index.sparse_size() == sizes):  # made here: its edges stay inside
        check_edge_list(edge_index, weight.device)
        check_range(edge_index, sizes)
    return pair, edge_index, edge_weight


def check_nodes_for(weight: Tensor, channels: int, *matrices: Tensor) -> None:
    """Refuse what is not a node matrix ``[N, channels]`` of the weights' type and device, without a look at values."""
    dtype, device = weight.dtype, weight.device
    for x in matrices:  # on the way of every layer: nothing is asked of x twice
        if not isinstance(x, Tensor):
            raise TypeError(f"node features must be a tensor or a pair of tensors, got {type(x).__name__}")
        shape = x.shape
        if len(shape) != 2 or shape[1] != channels:
            raise ValueError(f"node features must have shape [nodes, {channels}], got {list(shape)}")
        if x.dtype != dtype and not is_autocasting(device.type):
            raise TypeError(f"node features must be {dtype} as the operator's weights are, got {x.dtype}")
        if x.device != device:
            raise ValueError(f"node features are on {x.device}, but the operator's weights on {device}")
        if x.layout != torch.strided:
            raise TypeError(f"node features must be a dense tensor, got {x.layout}")


def _num_targets(edge_index: Adj, size: Size) -> int:
    """Return how many targets without features there are."""
    if size is not None and size[1] is not None:
        return int(size[1])
    if is_sparse(edge_index):
        return int(edge_index.size(0))
    known = edge_index.sparse_size(1) if isinstance(edge_index, EdgeIndex) else None
    if known is not None:
        return int(known)
    return int(torch.as_tensor(edge_index)[1].max()) + 1 if edge_index.numel() else 0


def _check_size(size: Size, sizes: tuple[int, int]) -> None:
    """Refuse a ``size`` that is not that of the nodes."""
    if not isinstance(size, Sequence) or len(size) != 2:
        raise TypeError(f"size must be a pair (sources, targets), got {size!r}")
    if any(given is not None and given != real for given, real in zip(size, sizes, strict=True)):
        raise ValueError(f"size={tuple(size)} does not fit x, which holds {sizes[0]} sources and {sizes[1]} targets")


def _checked_weight(edge_weight: Tensor, edge_index: Tensor, weight: Tensor) -> Tensor:
    """Return weights ``[E]``; refuse what is not one number per edge."""
    if not isinstance(edge_weight, Tensor):
        raise TypeError(f"edge_weight must be a tensor, got {type(edge_weight).__name__}")
    edges = edge_index.size(1) if isinstance(edge_index, Tensor) and edge_index.dim() == 2 else 0
    if edge_weight.numel() != edges or edge_weight.dim() > 2 or (edge_weight.dim() == 2 and edge_weight.size(1) != 1):
        raise ValueError(f"edge_weight must have shape [{edges}], one number per edge, got {list(edge_weight.shape)}")
    if not edge_weight.is_floating_point():
        raise TypeError(f"edge_weight must hold floating point numbers, got {edge_weight.dtype}")
    if edge_weight.device != weight.device:
        raise ValueError(f"edge_weight is on {edge_weight.device}, but the operator's weights on {weight.device}")
    return edge_weight.view(-1)


def _sparse_edges(adj: Adj, sizes: tuple[int, int], edge_weight: OptTensor) -> tuple[Adj, OptTensor]:
    """Return a sparse adjacency without values, or its edges and their values."""
    given = (adj.size(1), adj.size(0))
    if given != sizes:
        raise ValueError(f"the adjacency links {given[0]} to {given[1]} nodes, but x holds {sizes[0]} and {sizes[1]}")
    if edge_weight is not None:
        raise ValueError("a sparse adjacency holds the weights of its edges itself: leave out edge_weight")
    edges, values = to_edge_index(adj)
    edges = edges.flip(0)
    check_range(edges, sizes)
    if bool((values != 1).any()):
        return edges, values
    if not isinstance(adj, Tensor) or adj.layout == torch.sparse_csr:
        return adj, None
    return edges if adj.layout == torch.sparse_coo else adj.to_sparse_csr(), None
