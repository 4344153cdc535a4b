"""The max-relative operator, ViG's own choice."""

from typing import Any

import torch
from torch import Tensor
from torch_geometric.typing import Adj, OptPairTensor, OptTensor, PairTensor, Size

from vig_pyg.checks import check_flags
from vig_pyg.conv.fused import Aggr, FusedConv, InChannels, source_map
from vig_pyg.conv.lazy import Layers
from vig_pyg.conv.linear import Act, Norm
from vig_pyg.conv.registry import register_conv
from vig_pyg.graph.edges import compressed
from vig_pyg.kernels import neighbor_max, neighbor_weighted_max


@register_conv("max_relative", "mr")
class MaxRelativeConv(FusedConv):
    r"""The max-relative graph convolution (Li et al., "DeepGCNs", 2019; paper, Eq. 3 to 5).

    .. math::
        \mathbf{m}_i = \max_{j \in \mathcal{N}(i)} (\mathbf{x}_j - \mathbf{x}_i), \qquad
        \mathbf{x}^{\prime}_i = \sigma(\mathrm{norm}([x_i^0, m_i^0, x_i^1, m_i^1, \dots] \, \mathbf{W}))

    with the channels of both interleaved and :math:`\mathbf{W}` in heads. Since :math:`\mathbf{x}_i` is the same
    for every neighbor, :math:`\mathbf{m}_i = \max_j \mathbf{x}_j - \mathbf{x}_i`: nothing is computed per edge.
    A node without neighbors has :math:`\mathbf{m}_i = 0`. An edge weight is a factor of the difference.

    The models on axes of the image take :math:`\max(0, \mathbf{m}_i)` (``floor=True``), MobileViG and LogViG the
    maximum of :math:`\mathbf{x}_i - \mathbf{x}_j` (``reverse=True``).

    Args:
        in_channels: Width of the input; or of sources and targets, where a linear map without bias brings the former to
            the width of the latter; or -1, or ``(-1, -1)``, where the first call is to say it.
        out_channels: Width of the output.
        heads: Heads ``h`` of the update; divides both widths.
        norm: ``"batch"`` as in models, ``"layer"``, a factory, or None, as suits single graphs.
        act: ``"gelu"`` as in models, another name of timm's, a factory, or None, as suits a last layer.
        aggr: Another aggregation than the maximum, in PyG's words, a list of them, or a module.
        floor: What is below zero after the aggregation becomes zero.
        reverse: Subtract the neighbor from the node.
        **kwargs: Of :class:`~torch_geometric.nn.MessagePassing`.

    Shapes:
        - x: ``[N, C]``, or ``([M, C_s], [N, C_t])`` of a bipartite graph, where the targets may be None (zeros)
        - edge_index: any PyG adjacency from sources to targets; values of a sparse one are weights
        - edge_weight: ``[E]``
        - output: ``[N, out_channels]``
    """

    def __init__(
        self,
        in_channels: InChannels,
        out_channels: int,
        heads: int = 1,
        norm: Norm = None,
        act: Act = None,
        aggr: Aggr | None = None,
        floor: bool = False,
        reverse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, heads, norm, act, aggr, **kwargs)
        check_flags(floor=floor, reverse=reverse)
        self.floor, self.reverse = floor, reverse

    def layers(self, source: int, target: int) -> Layers:
        """Return what brings sources to the width of targets, and the update."""
        joined = target + self.aggregated_width(target)
        return {"source": source_map(source, target), "nn": self.mapped(joined, self.out_channels)}

    def forward(
        self, x: Tensor | OptPairTensor, edge_index: Adj, edge_weight: OptTensor = None, size: Size = None
    ) -> Tensor:
        """Return the new features of the targets."""
        pair, edges, weight = self.prepare(x, edge_index, size, edge_weight)
        relative = self.propagate(edges, x=pair, edge_weight=weight, size=(pair[0].size(0), pair[1].size(0)))
        if self.floor:
            relative = relative.relu()
        if relative.size(1) == pair[1].size(1):
            return self.nn(pair[1], relative)
        parts = relative.view(len(relative), -1, pair[1].size(1)).transpose(1, 2)
        return self.nn(torch.cat([pair[1].unsqueeze(2), parts], dim=2).flatten(1))

    def message(self, x_i: Tensor, x_j: Tensor, edge_weight: OptTensor = None) -> Tensor:
        """Return the differences, ``[E, C]``, times the weights of their edges."""
        difference = x_i - x_j if self.reverse else x_j - x_i
        return difference if edge_weight is None else difference * edge_weight.view(-1, 1)

    def message_and_aggregate(self, edge_index: Adj, x: PairTensor, edge_weight: OptTensor = None) -> Tensor:
        """Return the maximum of the differences, ``[N, in_channels]``, without keeping them."""
        ptr, index, max_degree = compressed(edge_index)
        source, target = (-x[0], -x[1]) if self.reverse else x
        if edge_weight is None:
            return neighbor_max(source, ptr, index, max_degree, center=target)
        return neighbor_weighted_max(source, index.view(-1, max_degree), edge_weight.view(-1, max_degree), target)
