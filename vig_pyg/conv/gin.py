"""The graph isomorphism operator."""

import torch
from torch import Tensor, nn
from torch_geometric.typing import Adj, PairTensor

from vig_pyg.conv.fused import FusedConv
from vig_pyg.conv.linear import Act, LinearNormAct, Norm
from vig_pyg.conv.registry import register_conv
from vig_pyg.graph.edges import compressed
from vig_pyg.kernels import neighbor_sum


@register_conv("gin")
class GINConv(FusedConv):
    r"""The graph isomorphism convolution (Xu et al., "How Powerful are Graph Neural Networks?", 2019) of ViG.

    .. math::
        \mathbf{x}^{\prime}_i = \sigma(\mathrm{norm}(((1 + \epsilon) \, \mathbf{x}_i +
        \sum_{j \in \mathcal{N}(i)} \mathbf{x}_j) \, \mathbf{W}))

    with a trainable :math:`\epsilon`, zero at the start, and :math:`\mathbf{W}` in heads.

    Args:
        in_channels: Width of the input.
        out_channels: Width of the output.
        heads: Heads ``h`` of the update; divides both widths.
        norm: ``"batch"``, ``"layer"``, a factory or None.
        act: A name of timm's, a factory or None.

    Shapes:
        - x: ``[N, in_channels]``, or ``([M, in_channels], [N, in_channels])`` of a bipartite graph
        - edge_index: any PyG adjacency from sources to targets
        - output: ``[N, out_channels]``
    """

    def __init__(
        self, in_channels: int, out_channels: int, heads: int = 1, norm: Norm = "batch", act: Act = "gelu"
    ) -> None:
        super().__init__("sum", in_channels, out_channels)
        self.eps = nn.Parameter(torch.zeros(1))
        self.nn = LinearNormAct(in_channels, out_channels, heads, norm, act)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        super().reset_parameters()
        nn.init.zeros_(self.eps)

    def forward(self, x: Tensor | PairTensor, edge_index: Adj) -> Tensor:
        """Return the new features of the targets."""
        pair, edge_index = self.prepare(x, edge_index)
        total = self.propagate(edge_index, x=pair, size=(pair[0].size(0), pair[1].size(0)))
        return self.nn(torch.addcmul(pair[1] + total, pair[1], self.eps))  # (1 + ε) xᵢ + Σⱼ xⱼ

    def message(self, x_j: Tensor) -> Tensor:
        """Return the neighbors, ``[E, in_channels]``."""
        return x_j

    def message_and_aggregate(self, edge_index: Adj, x: PairTensor) -> Tensor:
        """Return the sum of the neighbors, ``[N, in_channels]``."""
        return neighbor_sum(x[0], *compressed(edge_index))
