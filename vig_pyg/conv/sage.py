"""The GraphSAGE operator with max pooling."""

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.typing import Adj, PairTensor

from vig_pyg.conv.edge_statistics import (
    degrees,
    is_affine,
    scale_and_shift,
    statistics_of_sources,
    uses_batch_statistics,
)
from vig_pyg.conv.inputs import check_inputs
from vig_pyg.conv.linear import Act, LinearNormAct, Norm
from vig_pyg.conv.registry import register_conv
from vig_pyg.graph.edges import compressed
from vig_pyg.kernels import neighbour_max
from vig_pyg.kernels.reduce import targets_of_edges


@register_conv("sage")
class SAGEConv(MessagePassing):
    r"""The GraphSAGE convolution with max pooling (Hamilton et al., 2017) as ViG uses it.

    .. math::
        \mathbf{m}_i = \max_{j \in \mathcal{N}(i)} \sigma(\mathrm{norm}(\mathbf{x}_j \mathbf{W}_1)), \qquad
        \mathbf{x}^{\prime}_i = \sigma(\mathrm{norm}([\mathbf{x}_i \, \Vert \, \mathbf{m}_i] \, \mathbf{W}_2))

    with both maps in heads. The first norm takes its statistics over edges: a node that is a neighbour more often
    counts more. A node without neighbours has :math:`\mathbf{m}_i = 0`. What a neighbour sends does not depend on
    who receives it, so it is computed once per node.

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

    SUPPORTS_FUSED_EDGE_INDEX = True

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
        pair, edge_index = check_inputs(x, edge_index, self.in_channels, self.nn1.linear.weight.dtype)
        pooled = self.propagate(edge_index, x=pair, size=(pair[0].size(0), pair[1].size(0)))
        return self.nn2(torch.cat([pair[1], pooled], dim=1))

    def message(self, x_j: Tensor) -> Tensor:
        """Return the mapped neighbours, ``[E, in_channels]``."""
        return self.nn1(x_j)

    def message_and_aggregate(self, edge_index: Adj, x: PairTensor) -> Tensor:
        """Return the maximum of the mapped neighbours, ``[N, in_channels]``, each node mapped once."""
        ptr, index, max_degree = compressed(edge_index)
        norm = self.nn1.norm
        if isinstance(norm, nn.LayerNorm) or (is_affine(norm) and not uses_batch_statistics(norm)):
            return neighbour_max(self.nn1(x[0]), ptr, index, max_degree)
        if not is_affine(norm) or index.numel() == 0:
            target = targets_of_edges(ptr, index.numel())
            return self.aggregate(self.message(x[0][index]), target, ptr, x[1].size(0))
        z = self.nn1.linear(x[0])
        _, of_source = degrees(ptr, index, z.size(0), z)
        batch = statistics_of_sources(z, of_source, index.numel())
        scale, shift = scale_and_shift(norm, batch, index.numel())
        return neighbour_max(self.nn1.act(z * scale + shift), ptr, index, max_degree)
