"""What every operator of ours accepts."""

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.typing import Adj, PairTensor
from torch_geometric.utils import is_sparse, to_edge_index

from vig_pyg.graph.edges import check_range
from vig_pyg.kernels.heads import is_autocasting


def check_inputs(x: Tensor | PairTensor, edge_index: Adj, channels: int, dtype: torch.dtype) -> tuple[PairTensor, Adj]:
    """Return ``(x_source, x_target)`` and the edges after checking that they fit.

    Every sparse tensor comes back in CSR form, but COO, which may hold an edge twice, as an edge list; an
    ``EdgeIndex`` that says no size, or another, as one of the right size.

    Raises:
        TypeError: the features are not of the weights' type, or the edges not whole numbers.
        ValueError: features of another rank or width, or an edge that points outside.
    """
    pair = (x, x) if isinstance(x, Tensor) else x
    for features in pair:
        if not isinstance(features, Tensor):
            raise TypeError(f"node features must be a tensor or a pair of tensors, got {type(features).__name__}")
        if features.dim() != 2 or features.size(1) != channels:
            raise ValueError(f"node features must have shape [nodes, {channels}], got {list(features.shape)}")
        if features.dtype != dtype and not is_autocasting(features.device.type):
            raise TypeError(f"node features must be {dtype} as the operator's weights are, got {features.dtype}")
    sizes = pair[0].size(0), pair[1].size(0)
    if is_sparse(edge_index):
        given = (edge_index.size(1), edge_index.size(0))
        if given != sizes:
            raise ValueError(
                f"the adjacency links {given[0]} to {given[1]} nodes, but x holds {sizes[0]} and {sizes[1]}"
            )
        if isinstance(edge_index, Tensor):
            check_range(to_edge_index(edge_index)[0].flip(0), sizes)
        return pair, _without_layout(edge_index)
    if not isinstance(edge_index, Tensor):
        raise TypeError(f"edge_index must be a tensor or a sparse adjacency, got {type(edge_index).__name__}")
    if not isinstance(edge_index, EdgeIndex):
        if edge_index.is_floating_point() or edge_index.dtype == torch.bool:
            raise TypeError(f"edge_index must hold whole numbers, got {edge_index.dtype}")
        if edge_index.dim() != 2 or edge_index.size(0) != 2:
            raise ValueError(f"edge_index must have shape [2, edges], got {list(edge_index.shape)}")
    elif edge_index.sparse_size() == sizes and hasattr(edge_index, "max_degree"):
        return pair, edge_index  # made here: its edges stay inside
    check_range(edge_index, sizes)
    if isinstance(edge_index, EdgeIndex) and edge_index.sparse_size() != sizes:
        edge_index = EdgeIndex(edge_index.as_tensor(), sparse_size=sizes, sort_order=edge_index.sort_order)
    return pair, edge_index


def _without_layout(adj: Adj) -> Adj:
    if not isinstance(adj, Tensor) or adj.layout == torch.sparse_csr:
        return adj
    return adj._indices().flip(0) if adj.layout == torch.sparse_coo else adj.to_sparse_csr()
