"""The graph isomorphism operator."""

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.typing import Adj, OptPairTensor, OptTensor, PairTensor, Size

from vig_pyg.conv.fused import Aggr, FusedConv, InChannels, source_map
from vig_pyg.conv.lazy import Layers
from vig_pyg.conv.linear import Act, Norm
from vig_pyg.conv.registry import register_conv
from vig_pyg.graph.edges import compressed
from vig_pyg.kernels import neighbor_sum


@register_conv("gin")
class GINConv(FusedConv):
    r"""The graph isomorphism convolution (Xu et al., "How Powerful are Graph Neural Networks?", 2019) of ViG.

    .. math::
        \mathbf{x}^{\prime}_i = \sigma(\mathrm{norm}(((1 + \epsilon) \, \mathbf{x}_i +
        \sum_{j \in \mathcal{N}(i)} \mathbf{x}_j) \, \mathbf{W}))

    with a trainable :math:`\epsilon`, zero at the start, and :math:`\mathbf{W}` in heads. An edge weight
    is a factor of :math:`\mathbf{x}_j`.

    Args:
        in_channels: Width of the input; or of sources and targets, where a linear map without bias brings the former to
            the width of the latter; or -1, or ``(-1, -1)``, where the first call is to say it.
        out_channels: Width of the output.
        heads: Heads ``h`` of the update; divides both widths.
        norm: ``"batch"`` as in models, ``"layer"``, a factory, or None, as suits single graphs.
        act: ``"gelu"`` as in models, another name of timm's, a factory, or None, as suits a last layer.
        aggr: Another aggregation than the sum, in PyG's words, a list of them, or a module.
        **kwargs: Of :class:`~torch_geometric.nn.MessagePassing`.

    Shapes:
        - x: ``[N, C]``, or ``([M, C_s], [N, C_t])`` of a bipartite graph, where the targets may be None (zeros)
        - edge_index: any PyG adjacency from sources to targets; values of a sparse one are weights
        - edge_weight: ``[E]``
        - output: ``[N, out_channels]``
    """

    own_aggr = "sum"

    def __init__(
        self,
        in_channels: InChannels,
        out_channels: int,
        heads: int = 1,
        norm: Norm = None,
        act: Act = None,
        aggr: Aggr | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, heads, norm, act, aggr, **kwargs)
        self.eps = nn.Parameter(torch.zeros(1))

    def layers(self, source: int, target: int) -> Layers:
        """Return what brings sources to the width of targets, and the update."""
        if self.aggregated_width(target) != target:
            raise ValueError(f"GINConv adds what it aggregates to a node, so aggr={self.aggr!r} must keep the width")
        return {"source": source_map(source, target), "nn": self.mapped(target, self.out_channels)}

    def reset_parameters(self) -> None:
        """Draw new weights."""
        super().reset_parameters()
        nn.init.zeros_(self.eps)

    def forward(
        self, x: Tensor | OptPairTensor, edge_index: Adj, edge_weight: OptTensor = None, size: Size = None
    ) -> Tensor:
        """Return the new features of the targets."""
        pair, edges, weight = self.prepare(x, edge_index, size, edge_weight)
        total = self.propagate(edges, x=pair, edge_weight=weight, size=(pair[0].size(0), pair[1].size(0)))
        return self.nn(torch.addcmul(pair[1] + total, pair[1], self.eps))  # (1 + ε) xᵢ + Σⱼ xⱼ

    def message(self, x_j: Tensor, edge_weight: OptTensor = None) -> Tensor:
        """Return the neighbors, ``[E, C]``, times the weights of their edges."""
        return x_j if edge_weight is None else x_j * edge_weight.view(-1, 1)

    def message_and_aggregate(self, edge_index: Adj, x: PairTensor) -> Tensor:
        """Return the sum of the neighbors, ``[N, in_channels]``."""
        return neighbor_sum(x[0], *compressed(edge_index))
