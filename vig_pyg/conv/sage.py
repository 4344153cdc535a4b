"""The GraphSAGE operator with max pooling."""

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing
from torch_geometric.typing import Adj, PairTensor

from vig_pyg.conv.inputs import as_pair
from vig_pyg.conv.linear import Act, LinearNormAct, Norm
from vig_pyg.conv.registry import register_conv


@register_conv("sage")
class SAGEConv(MessagePassing):
    r"""The GraphSAGE convolution with max pooling (Hamilton et al., 2017) as ViG uses it.

    .. math::
        \mathbf{m}_i = \max_{j \in \mathcal{N}(i)} \sigma(\mathrm{norm}(\mathbf{x}_j \mathbf{W}_1)), \qquad
        \mathbf{x}^{\prime}_i = \sigma(\mathrm{norm}([\mathbf{x}_i \, \Vert \, \mathbf{m}_i] \, \mathbf{W}_2))

    with both maps in heads. The first norm takes its statistics over edges: a node that is a neighbour more often
    counts more. A node without neighbours has :math:`\mathbf{m}_i = 0`.

    Args:
        in_channels: Width of the input.
        out_channels: Width of the output.
        heads: Heads ``h`` of both maps; divides both widths.
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
        self.nn1 = LinearNormAct(in_channels, in_channels, heads, norm, act)
        self.nn2 = LinearNormAct(2 * in_channels, out_channels, heads, norm, act)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        super().reset_parameters()
        self.nn1.reset_parameters()
        self.nn2.reset_parameters()

    def forward(self, x: Tensor | PairTensor, edge_index: Adj) -> Tensor:
        """Return the new features of the targets."""
        pair = as_pair(x, edge_index, self.in_channels)
        pooled = self.propagate(edge_index, x=pair, size=(pair[0].size(0), pair[1].size(0)))
        return self.nn2(torch.cat([pair[1], pooled], dim=1))

    def message(self, x_j: Tensor) -> Tensor:
        """Return the mapped neighbours, ``[E, in_channels]``."""
        return self.nn1(x_j)
