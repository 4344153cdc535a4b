"""What every operator of ours accepts."""

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.typing import Adj, PairTensor
from torch_geometric.utils import is_sparse, to_edge_index

from vig_pyg.graph.edges import check_edge_list, check_range
from vig_pyg.kernels.grouped_linear import is_autocasting


def check_inputs(x: Tensor | PairTensor, edge_index: Adj, channels: int, weight: Tensor) -> tuple[PairTensor, Adj]:
    """Return ``(x_source, x_target)`` and the edges after checking that they fit.

    Every sparse tensor comes back in CSR form, but COO, which may hold an edge twice, as an edge list; an
    ``EdgeIndex`` that says no size, or another, as one of the right size.

    Args:
        x: The features, or those of sources and targets.
        edge_index: Any PyG adjacency.
        channels: Width that the features must have.
        weight: One of the operator's, whose type and device the features must have.

    Raises:
        TypeError: the features are no tensors or not of the weights' type, or the edges not whole numbers.
        ValueError: features of another rank, width or device, an edge that points outside, or values on the edges,
            which our operators have no use for.
    """
    if not isinstance(x, Tensor) and not (isinstance(x, tuple | list) and len(x) == 2):
        what = f"{len(x)} of them" if isinstance(x, tuple | list) else type(x).__name__
        raise TypeError(f"node features must be a tensor, or a pair of sources and targets, got {what}")
    pair = (x, x) if isinstance(x, Tensor) else (x[0], x[1])
    check_nodes_for(weight, channels, *pair)
    sizes = pair[0].size(0), pair[1].size(0)
    if is_sparse(edge_index):
        given = (edge_index.size(1), edge_index.size(0))
        if given != sizes:
            raise ValueError(
                f"the adjacency links {given[0]} to {given[1]} nodes, but x holds {sizes[0]} and {sizes[1]}"
            )
        edges, values = to_edge_index(edge_index)
        check_range(edges.flip(0), sizes)
        _refuse_values(values)
        return pair, _without_layout(edge_index, edges.flip(0))
    if isinstance(edge_index, EdgeIndex) and edge_index.sparse_size() == sizes and hasattr(edge_index, "max_degree"):
        return pair, edge_index  # made here: its edges stay inside
    check_edge_list(edge_index, weight.device)
    if not isinstance(edge_index, EdgeIndex):
        edge_index = edge_index.long()
    check_range(edge_index, sizes)
    if isinstance(edge_index, EdgeIndex) and edge_index.sparse_size() != sizes:
        edge_index = EdgeIndex(edge_index.as_tensor(), sparse_size=sizes, sort_order=edge_index.sort_order)
    return pair, edge_index


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


def _refuse_values(values: Tensor) -> None:
    if not bool((values == 1).all()):
        other = values[(values != 1).nonzero()[0][0]]
        raise ValueError(
            f"the adjacency has an edge of value {other.tolist()}, but this operator takes edges without values: "
            "set them to 1"
        )


def _without_layout(adj: Adj, edges: Tensor) -> Adj:
    if not isinstance(adj, Tensor) or adj.layout == torch.sparse_csr:
        return adj
    return edges if adj.layout == torch.sparse_coo else adj.to_sparse_csr()
