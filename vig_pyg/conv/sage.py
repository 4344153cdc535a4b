"""The GraphSAGE operator with max pooling."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch_geometric.typing import Adj, OptPairTensor, OptTensor, PairTensor, Size

from vig_pyg.conv.edge_statistics import (
    degrees,
    is_affine,
    scale_and_shift,
    statistics_of_sources,
    uses_batch_statistics,
)
from vig_pyg.conv.fused import FusedConv
from vig_pyg.conv.lazy import Layers
from vig_pyg.conv.norm_act import KNOWN_ACTIVATIONS
from vig_pyg.conv.registry import register_conv
from vig_pyg.graph.edges import compressed
from vig_pyg.kernels import neighbor_max
from vig_pyg.kernels.reduce import targets_of_edges


@register_conv("sage")
class SAGEConv(FusedConv):
    r"""The GraphSAGE convolution with max pooling (Hamilton et al., 2017) as ViG uses it.

    .. math::
        \mathbf{m}_i = \max_{j \in \mathcal{N}(i)} \sigma(\mathrm{norm}(\mathbf{x}_j \mathbf{W}_1)), \qquad
        \mathbf{x}^{\prime}_i = \sigma(\mathrm{norm}([\mathbf{x}_i \, \Vert \, \mathbf{m}_i] \, \mathbf{W}_2))

    with both maps in heads. The first norm takes its statistics over edges: a node that is a neighbor more often
    counts more. A node without neighbors has :math:`\mathbf{m}_i = 0`. What a neighbor sends does not depend on
    who receives it, so it is computed once per node. An edge weight is a factor of it.

    Args:
        in_channels: Width of the input, or of sources and targets; -1, or ``(-1, -1)``, where the first call says it.
        out_channels: Width of the output.
        heads: Heads ``h`` of both maps; divides their widths.
        norm: ``"batch"`` as in models, ``"layer"``, a factory, or None, as suits single graphs.
        act: ``"gelu"`` as in models, another name of timm's, a factory, or None, as suits a last layer.
        aggr: Another aggregation than the maximum, in PyG's words, a list of them, or a module.
        **kwargs: Of :class:`~torch_geometric.nn.MessagePassing`.

    Shapes:
        - x: ``[N, C]``, or ``([M, C_s], [N, C_t])`` of a bipartite graph, where the targets may be None (zeros)
        - edge_index: any PyG adjacency from sources to targets; values of a sparse one are weights
        - edge_weight: ``[E]``
        - output: ``[N, out_channels]``
    """

    def layers(self, source: int, target: int) -> Layers:
        """Return the map of the neighbors and the update."""
        joined = target + self.aggregated_width(source)
        return {"nn1": self.mapped(source, source), "nn2": self.mapped(joined, self.out_channels)}

    def forward(
        self, x: Tensor | OptPairTensor, edge_index: Adj, edge_weight: OptTensor = None, size: Size = None
    ) -> Tensor:
        """Return the new features of the targets."""
        pair, edges, weight = self.prepare(x, edge_index, size, edge_weight)
        pooled = self.propagate(edges, x=pair, edge_weight=weight, size=(pair[0].size(0), pair[1].size(0)))
        return self.nn2(torch.cat([pair[1], pooled], dim=1))

    def message_layers(self) -> Iterable[nn.Module]:
        """Return the layers that messages go through."""
        return self.nn1.modules()

    def message(self, x_j: Tensor, edge_weight: OptTensor = None) -> Tensor:
        """Return the mapped neighbors, ``[E, C_s]``, times the weights of their edges."""
        return self.nn1(x_j) if edge_weight is None else self.nn1(x_j) * edge_weight.view(-1, 1)

    def message_and_aggregate(self, edge_index: Adj, x: PairTensor) -> Tensor:
        """Return the maximum of the mapped neighbors, ``[N, in_channels]``, each node mapped once."""
        ptr, index, max_degree = compressed(edge_index)
        norm = self.nn1.norm
        per_node = (type(norm) is nn.LayerNorm or is_affine(norm)) and type(self.nn1.act) in KNOWN_ACTIVATIONS
        if not per_node or (uses_batch_statistics(norm) and index.numel() == 0):
            target = targets_of_edges(ptr, index.numel())
            return self.aggregate(self.message(x[0][index]), target, ptr, x[1].size(0))
        if not uses_batch_statistics(norm):
            return neighbor_max(self.nn1(x[0]), ptr, index, max_degree)
        z = self.nn1.linear(x[0])
        _, of_source = degrees(ptr, index, z.size(0))
        batch = statistics_of_sources(z, of_source, index.numel())
        scale, shift = scale_and_shift(norm, batch, index.numel(), z)
        return neighbor_max(self.nn1.act(torch.addcmul(shift, z, scale)), ptr, index, max_degree)
