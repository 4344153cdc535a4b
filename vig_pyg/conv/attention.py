"""Attention as a graph convolution, of AdaptViG's last stage."""

from typing import Optional

import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.typing import Adj, OptPairTensor, OptTensor, PairOptTensor, Size
from torch_geometric.utils import softmax

from vig_pyg.conv.fused import FusedConv
from vig_pyg.conv.lazy import Layers
from vig_pyg.conv.linear import GroupedLinear
from vig_pyg.conv.registry import register_conv
from vig_pyg.graph.edges import compressed
from vig_pyg.graph.pyg_internals import is_as_made
from vig_pyg.kernels import neighbor_softmax, neighbor_sum
from vig_pyg.kernels.reduce import targets_of_edges


@register_conv("attention")
class AttentionConv(FusedConv):
    r"""What a node attends to, less itself, never below zero (Munir et al., "AdaptViG", 2026, its last stage).

    .. math::
        \mathbf{m}_i = \max\Big(0, \sum_{j \in \mathcal{N}(i)} \alpha_{ij} \, \mathbf{x}_j \mathbf{W}_v -
        \mathbf{x}_i\Big), \qquad
        \mathbf{x}^{\prime}_i = \sigma(\mathrm{norm}([x_i^0, m_i^0, x_i^1, m_i^1, \dots] \, \mathbf{W}))

    with :math:`\alpha_{ij}` the softmax over :math:`\mathcal{N}(i)` of :math:`\langle \mathrm{LN}(\mathbf{x}_i
    \mathbf{W}_q), \mathrm{LN}(\mathbf{x}_j \mathbf{W}_k) \rangle / \sqrt{d}` and queries and keys of a quarter of the
    width, :math:`d = C / 4`. On the graph ``"complete"`` this is dense attention, elsewhere there is a row per edge.

    Args:
        in_channels: As in :class:`~vig_pyg.conv.MaxRelativeConv`, and so are the others.

    Shapes:
        - x: ``[N, C]``, or ``([M, C_s], [N, C_t])`` of a bipartite graph
        - edge_index: any PyG adjacency from sources to targets
        - output: ``[N, out_channels]``
    """

    own_aggr = "sum"

    def layers(self, source: int, target: int) -> Layers:
        """Return the maps of queries, keys and values, the norms of the former, and the update."""
        width = max(1, target // 4)
        return {
            "query": GroupedLinear(target, width, bias=False),
            "key": GroupedLinear(source, width, bias=False),
            "value": GroupedLinear(source, target, bias=False),
            "query_norm": nn.LayerNorm(width),
            "key_norm": nn.LayerNorm(width),
            "nn": self.mapped(2 * target, self.out_channels),
        }

    def forward(self, x: Tensor | OptPairTensor, edge_index: Adj, size: Size = None) -> Tensor:
        """Return the new features of the targets."""
        pair, edges, _ = self.prepare(x, edge_index, size)
        query, key = self.query_norm(self.query(pair[1])), self.key_norm(self.key(pair[0]))
        sizes = pair[0].size(0), pair[1].size(0)
        value = self.value(pair[0])
        attended = self.propagate(edges, query=(None, query), key=(key, None), value=(value, None), size=sizes)
        return self.nn(pair[1], (attended - pair[1]).relu())

    def message(
        self,
        query_i: Tensor,
        key_j: Tensor,
        value_j: Tensor,
        index: Tensor,
        ptr: OptTensor,
        size_i: Optional[int],  # noqa: UP045 (PyG reads it)
    ) -> Tensor:
        """Return what every neighbor tells, ``[E, C]``."""
        alike = (query_i * key_j).sum(1) * query_i.size(1) ** -0.5
        return softmax(alike, index, ptr, size_i).unsqueeze(1) * value_j

    def message_and_aggregate(
        self, edge_index: Adj, query: PairOptTensor, key: PairOptTensor, value: PairOptTensor
    ) -> Tensor:
        """Return what every target attends to, ``[N, C]``."""
        q, k, v = query[1], key[0], value[0]
        assert q is not None and k is not None and v is not None
        ptr, index, max_degree = compressed(edge_index)
        if _is_complete(edge_index) and index.numel() == q.size(0) * max_degree:
            images = (part.view(-1, 1, max_degree, part.size(1)) for part in (q, k, v))
            return F.scaled_dot_product_attention(*images).flatten(0, 2)
        target = targets_of_edges(ptr, len(index))
        alike = (q[target] * k[index]).sum(1, keepdim=True) * q.size(1) ** -0.5
        weighted = neighbor_softmax(alike, ptr, max_degree) * v[index]
        return neighbor_sum(weighted, ptr, target.new_ones(len(target)).cumsum(0) - 1, max_degree)


def _is_complete(edges: Adj) -> bool:
    """Return whether edges are those of a :class:`~vig_pyg.graph.CompleteGraph`, unchanged."""
    return is_as_made(edges) and getattr(edges, "complete", False)
