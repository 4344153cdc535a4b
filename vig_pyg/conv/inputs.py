"""What every operator of ours accepts."""

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.typing import Adj, PairTensor
from torch_geometric.utils import is_sparse, to_edge_index

from vig_pyg.graph.edges import check_range
from vig_pyg.kernels.heads import is_autocasting

INDEX_TYPES = (torch.int64, torch.int32)


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
    for features in pair:
        if not isinstance(features, Tensor):
            raise TypeError(f"node features must be a tensor or a pair of tensors, got {type(features).__name__}")
        if features.dim() != 2 or features.size(1) != channels:
            raise ValueError(f"node features must have shape [nodes, {channels}], got {list(features.shape)}")
        if features.dtype != weight.dtype and not is_autocasting(features.device.type):
            raise TypeError(f"node features must be {weight.dtype} as the operator's weights are, got {features.dtype}")
        if features.device != weight.device:
            raise ValueError(f"node features are on {features.device}, but the operator's weights on {weight.device}")
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
        return pair, _without_layout(edge_index)
    if not isinstance(edge_index, Tensor):
        raise TypeError(f"edge_index must be a tensor or a sparse adjacency, got {type(edge_index).__name__}")
    if not isinstance(edge_index, EdgeIndex):
        if edge_index.dtype not in INDEX_TYPES:
            raise TypeError(f"edge_index must hold whole numbers, got {edge_index.dtype}: use torch.int64")
        edge_index = edge_index.long()
        if edge_index.dim() != 2 or edge_index.size(0) != 2:
            raise ValueError(f"edge_index must have shape [2, edges], got {list(edge_index.shape)}")
    elif edge_index.sparse_size() == sizes and hasattr(edge_index, "max_degree"):
        return pair, edge_index  # made here: its edges stay inside
    if edge_index.device != weight.device:
        raise ValueError(f"edge_index is on {edge_index.device}, but the operator's weights on {weight.device}")
    check_range(edge_index, sizes)
    if isinstance(edge_index, EdgeIndex) and edge_index.sparse_size() != sizes:
        edge_index = EdgeIndex(edge_index.as_tensor(), sparse_size=sizes, sort_order=edge_index.sort_order)
    return pair, edge_index


def _refuse_values(values: Tensor) -> None:
    if not bool((values == 1).all()):
        other = values[(values != 1).nonzero()[0][0]]
        raise ValueError(
            f"the adjacency has an edge of value {other.tolist()}, but this operator takes edges without values: "
            "set them to 1"
        )


def _without_layout(adj: Adj) -> Adj:
    if not isinstance(adj, Tensor) or adj.layout == torch.sparse_csr:
        return adj
    return adj._indices().flip(0) if adj.layout == torch.sparse_coo else adj.to_sparse_csr()
