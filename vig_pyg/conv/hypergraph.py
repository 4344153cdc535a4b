"""The operator of hypergraphs, from nodes to hyperedges and back."""

import torch
from torch import Tensor
from torch_geometric.typing import Adj, OptPairTensor, OptTensor, PairTensor, Size

from vig_pyg.conv.gin import GINConv
from vig_pyg.conv.lazy import Layers
from vig_pyg.conv.registry import register_conv
from vig_pyg.graph.edges import compressed
from vig_pyg.kernels import neighbor_mean


@register_conv("hypergraph")
class HypergraphConv(GINConv):
    r"""The hypergraph convolution from nodes to hyperedges and back, after ViHGNN (Han et al., 2023).

    .. math::
        \mathbf{h}_e = \sigma(\mathrm{norm}(\mathbf{x}_e \mathbf{W}_1)), \qquad
        \mathbf{x}^{\prime}_i = \sigma(\mathrm{norm}(((1 + \epsilon) \, \mathbf{x}_i +
        \frac{1}{|\mathcal{N}(i)|} \sum_{e \in \mathcal{N}(i)} \mathbf{h}_e) \, \mathbf{W}_2))

    with both maps in heads and a trainable :math:`\epsilon`, zero at the start. The sources :math:`\mathbf{x}_e` are
    hyperedges, each the mean of its nodes, as ``graph="hypergraph"`` gives them, and :math:`\mathcal{N}(i)` those that
    node ``i`` belongs to; ViHGNN takes means over lists filled up with the last node, too. On a plain graph every node
    is a hyperedge of its own, which its neighbors belong to. A node in none gets :math:`(1 + \epsilon) \mathbf{x}_i`
    mapped. An edge weight is a factor of :math:`\mathbf{h}_e`. It is :class:`~vig_pyg.conv.GINConv` of mapped
    hyperedges, with a mean.

    Args:
        in_channels: Width of the input, or of hyperedges and nodes; -1, or ``(-1, -1)``, where the first call says it.
        out_channels: Width of the output.
        heads: Heads ``h`` of both maps; divides their widths.
        norm: ``"batch"`` as in models, ``"layer"``, a factory, or None, as suits single graphs.
        act: ``"gelu"`` as in models, another name of timm's, a factory, or None, as suits a last layer.
        aggr: Another aggregation than the mean, in PyG's words, or a module.
        **kwargs: Of :class:`~torch_geometric.nn.MessagePassing`.

    Shapes:
        - x: ``[N, C]``, or ``([M, C_s], [N, C_t])`` of a bipartite graph, where the targets may be None (zeros)
        - edge_index: any PyG adjacency from sources to targets; values of a sparse one are weights
        - edge_weight: ``[E]``
        - output: ``[N, out_channels]``
    """

    own_aggr = "mean"

    def layers(self, source: int, target: int) -> Layers:
        """Return the maps of hyperedges and of nodes."""
        if self.aggregated_width(target) != target:
            raise ValueError(f"HypergraphConv adds what it aggregates to a node, so aggr={self.aggr!r} must keep width")
        return {"nn1": self.mapped(source, target), "nn2": self.mapped(target, self.out_channels)}

    def forward(
        self, x: Tensor | OptPairTensor, edge_index: Adj, edge_weight: OptTensor = None, size: Size = None
    ) -> Tensor:
        """Return the new features of the targets."""
        pair, edges, weight = self.prepare(x, edge_index, size, edge_weight)
        pair = self.nn1(pair[0]), pair[1]
        mean = self.propagate(edges, x=pair, edge_weight=weight, size=(pair[0].size(0), pair[1].size(0)))
        return self.nn2(torch.addcmul(pair[1] + mean, pair[1], self.eps))  # (1 + ε) xᵢ + meanₑ hₑ

    def message_and_aggregate(self, edge_index: Adj, x: PairTensor) -> Tensor:
        """Return the mean of the hyperedges, ``[N, C_t]``."""
        return neighbor_mean(x[0], *compressed(edge_index))
