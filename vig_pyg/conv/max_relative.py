"""The max-relative operator, ViG's own choice."""

from torch import Tensor
from torch_geometric.typing import Adj, PairTensor

from vig_pyg.conv.fused import FusedConv
from vig_pyg.conv.linear import Act, LinearNormAct, Norm
from vig_pyg.conv.registry import register_conv
from vig_pyg.graph.edges import compressed
from vig_pyg.kernels import neighbor_max


@register_conv("max_relative", "mr")
class MaxRelativeConv(FusedConv):
    r"""The max-relative graph convolution (Li et al., "DeepGCNs", 2019; paper, Eq. 3 to 5).

    .. math::
        \mathbf{m}_i = \max_{j \in \mathcal{N}(i)} (\mathbf{x}_j - \mathbf{x}_i), \qquad
        \mathbf{x}^{\prime}_i = \sigma(\mathrm{norm}([x_i^0, m_i^0, x_i^1, m_i^1, \dots] \, \mathbf{W}))

    with the channels of both interleaved and :math:`\mathbf{W}` in heads. Since :math:`\mathbf{x}_i` is the same
    for every neighbor, :math:`\mathbf{m}_i = \max_j \mathbf{x}_j - \mathbf{x}_i`: nothing is computed per edge.
    A node without neighbors has :math:`\mathbf{m}_i = 0`.

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
        super().__init__("max", in_channels, out_channels)
        self.nn = LinearNormAct(2 * in_channels, out_channels, heads, norm, act)

    def forward(self, x: Tensor | PairTensor, edge_index: Adj) -> Tensor:
        """Return the new features of the targets."""
        pair, edge_index = self.prepare(x, edge_index)
        relative = self.propagate(edge_index, x=pair, size=(pair[0].size(0), pair[1].size(0)))
        return self.nn(pair[1], relative)

    def message(self, x_i: Tensor, x_j: Tensor) -> Tensor:
        """Return the differences, ``[E, in_channels]``."""
        return x_j - x_i

    def message_and_aggregate(self, edge_index: Adj, x: PairTensor) -> Tensor:
        """Return the maximum of the differences, ``[N, in_channels]``, without computing them."""
        ptr, index, max_degree = compressed(edge_index)
        return neighbor_max(x[0], ptr, index, max_degree, center=x[1])
