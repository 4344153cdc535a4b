"""The edge convolution of DGCNN."""

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing
from torch_geometric.typing import Adj, PairTensor

from vig_pyg.conv.inputs import as_pair
from vig_pyg.conv.linear import Act, LinearNormAct, Norm
from vig_pyg.conv.registry import register_conv


@register_conv("edge")
class EdgeConv(MessagePassing):
    r"""The edge convolution (Wang et al., "Dynamic Graph CNN", 2019) as ViG uses it.

    .. math::
        \mathbf{x}^{\prime}_i = \max_{j \in \mathcal{N}(i)}
        \sigma(\mathrm{norm}([\mathbf{x}_i \, \Vert \, \mathbf{x}_j - \mathbf{x}_i] \, \mathbf{W}))

    with :math:`\mathbf{W}` in heads: a head sees consecutive channels of the concatenation. The norm takes its
    statistics over edges. A node without neighbours gets zeros.

    Args:
        in_channels: Width of the input.
        out_channels: Width of the output.
        heads: Heads ``h`` of the update; divides ``2 · in_channels`` and ``out_channels``.
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
        super().__init__(aggr="max")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.nn = LinearNormAct(2 * in_channels, out_channels, heads, norm, act)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        super().reset_parameters()
        self.nn.reset_parameters()

    def forward(self, x: Tensor | PairTensor, edge_index: Adj) -> Tensor:
        """Return the new features of the targets."""
        pair = as_pair(x, edge_index, self.in_channels)
        return self.propagate(edge_index, x=pair, size=(pair[0].size(0), pair[1].size(0)))

    def message(self, x_i: Tensor, x_j: Tensor) -> Tensor:
        """Return the mapped pairs, ``[E, out_channels]``."""
        return self.nn(torch.cat([x_i, x_j - x_i], dim=1))
