"""The edge convolution of DGCNN."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.typing import Adj, OptPairTensor, OptTensor, PairTensor, Size
from torch_geometric.utils import is_sparse

from vig_pyg.checks import check_whole
from vig_pyg.conv.edge_statistics import (
    degrees,
    is_affine,
    is_quasiconvex,
    scale_and_shift,
    statistics_of_sources,
    statistics_of_sums,
    uses_batch_statistics,
)
from vig_pyg.conv.fused import Aggr, FusedConv, InChannels, source_map
from vig_pyg.conv.lazy import Layers
from vig_pyg.conv.linear import Act, GroupedLinear, Norm
from vig_pyg.conv.registry import register_conv
from vig_pyg.graph.edges import compressed
from vig_pyg.kernels import neighbor_max, neighbor_min
from vig_pyg.kernels.grouped_linear import grouped_linear
from vig_pyg.kernels.reduce import may_be_isolated, targets_of_edges


@register_conv("edge")
class EdgeConv(FusedConv):
    r"""The edge convolution (Wang et al., "Dynamic Graph CNN", 2019) as ViG uses it.

    .. math::
        \mathbf{x}^{\prime}_i = \max_{j \in \mathcal{N}(i)}
        \sigma(\mathrm{norm}([\mathbf{x}_i \, \Vert \, \mathbf{x}_j - \mathbf{x}_i] \, \mathbf{W}))

    with :math:`\mathbf{W}` in heads: a head sees consecutive channels of the concatenation. The norm takes its
    statistics over edges. A node without neighbors gets zeros.

    Nothing of this needs a tensor with a row per edge. The map is linear, so an edge's value is a sum
    :math:`u_i + v_j` of two values per node. A quasiconvex activation (it falls, then rises), after a scale and a shift
    per channel, takes its largest value where :math:`v_j` is largest or smallest, so two neighbor reductions give the
    maximum, exactly. Other norms and activations are computed edge by edge.

    Args:
        in_channels: Width of the input; or of sources and targets, where a linear map without bias brings the former to
            the width of the latter; or -1, or ``(-1, -1)``, where the first call is to say it.
        out_channels: Width of the output.
        heads: Heads ``h`` of the update; divides both widths.
        norm: ``"batch"`` as in models, ``"layer"``, a factory, or None, as suits single graphs.
        act: ``"gelu"`` as in models, another name of timm's, a factory, or None, as suits a last layer.
        aggr: Another aggregation than the maximum, in PyG's words, a list of them, or a module; several are joined.
        edge_dim: Width of edge features :math:`\mathbf{e}_{ji}`, which are joined to the pair, computed edge by edge.
        **kwargs: Of :class:`~torch_geometric.nn.MessagePassing`.

    Shapes:
        - x: ``[N, C]``, or ``([M, C_s], [N, C_t])`` of a bipartite graph, where the targets may be None (zeros)
        - edge_index: any PyG adjacency from sources to targets, without values
        - edge_attr: ``[E, edge_dim]``, in the order of the edges
        - output: ``[N, out_channels]``
    """

    def __init__(
        self,
        in_channels: InChannels,
        out_channels: int,
        heads: int = 1,
        norm: Norm = None,
        act: Act = None,
        aggr: Aggr = "max",
        edge_dim: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_whole(edge_dim=1 if edge_dim is None else edge_dim)
        self.edge_dim = edge_dim
        super().__init__(in_channels, out_channels, heads, norm, act, aggr, **kwargs)

    def layers(self, source: int, target: int) -> Layers:
        """Return what brings sources to the width of targets, and the map of the pairs."""
        joined = 2 * target + (self.edge_dim or 0)
        return {"source": source_map(source, target), "nn": self.mapped(joined, self.out_channels)}

    def forward(
        self, x: Tensor | OptPairTensor, edge_index: Adj, edge_attr: OptTensor = None, size: Size = None
    ) -> Tensor:
        """Return the new features of the targets."""
        edge_attr = self._checked(edge_attr, edge_index)
        pair, edges, _ = self.prepare(x, edge_index, size, edge_attr=edge_attr)
        return self.propagate(edges, x=pair, edge_attr=edge_attr, size=(pair[0].size(0), pair[1].size(0)))

    def _checked(self, edge_attr: OptTensor, edge_index: Adj) -> OptTensor:
        """Return edge features ``[E, edge_dim]``; refuse what is not what the operator was made for."""
        if edge_attr is None and self.edge_dim is None:
            return None
        if edge_attr is None or self.edge_dim is None:
            what = "but got none" if edge_attr is None else "which is given: make it with edge_dim"
            raise TypeError(f"this EdgeConv has edge_dim={self.edge_dim} and takes edge_attr accordingly, {what}")
        if is_sparse(edge_index):
            raise TypeError("edge_attr follows the order of an edge list: give the adjacency as edge_index [2, E]")
        edge_attr = edge_attr.view(-1, 1) if edge_attr.dim() == 1 else edge_attr
        if edge_attr.shape != (edge_index.size(1), self.edge_dim):
            expected = [edge_index.size(1), self.edge_dim]
            raise ValueError(f"edge_attr must have shape {expected}, a row per edge, got {list(edge_attr.shape)}")
        return edge_attr

    def message_layers(self) -> Iterable[nn.Module]:
        """Return the layers that messages go through."""
        return self.nn.modules()

    def message(self, x_i: Tensor, x_j: Tensor, edge_attr: OptTensor = None) -> Tensor:
        """Return the mapped pairs, ``[E, out_channels]``."""
        return self.nn(torch.cat([x_i, x_j - x_i] if edge_attr is None else [x_i, x_j - x_i, edge_attr], dim=1))

    def message_and_aggregate(self, edge_index: Adj, x: PairTensor) -> Tensor:
        """Return the maximum over edges, ``[N, out_channels]``, from values per node."""
        ptr, index, max_degree = compressed(edge_index)
        if not self._is_separable():
            target = targets_of_edges(ptr, index.numel())
            return self.aggregate(self.message(x[1][target], x[0][index]), target, ptr, x[1].size(0))
        u, v = self._per_node(*x)
        alone = u.size(1) - v.size(1)  # channels that depend on the target only
        own, relative = u[:, :alone], u[:, alone:]
        largest = relative + neighbor_max(v, ptr, index, max_degree)
        smallest = relative + neighbor_min(v, ptr, index, max_degree)
        if not isinstance(self.nn.norm, nn.Identity):
            scale, shift = self._norm_over_edges(u, v, ptr, index)
            own = torch.addcmul(shift[:alone], own, scale[:alone])
            largest, smallest = (torch.addcmul(shift[alone:], z, scale[alone:]) for z in (largest, smallest))
        out = torch.maximum(self.nn.act(largest), self.nn.act(smallest))
        if alone:
            out = torch.cat([self.nn.act(own), out], dim=1)
        return out.masked_fill((ptr.diff() == 0).unsqueeze(1), 0) if may_be_isolated(ptr, index, max_degree) else out

    def _is_separable(self) -> bool:
        # With an odd number of heads, one would see a part of x_i and a part of x_j - x_i.
        plain = type(self.nn.linear) is GroupedLinear and (self.heads == 1 or self.heads % 2 == 0)
        return plain and is_affine(self.nn.norm) and is_quasiconvex(self.nn.act)

    def _per_node(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``u [N, out]`` and ``v [M, out or out / 2]``: an edge's last channels are ``u_i + v_j``."""
        weight, bias = self.nn.linear.weight, self.nn.linear.bias
        if self.heads == 1:
            own, relative = weight.chunk(2, dim=1)
            return nn.functional.linear(target, own - relative, bias), nn.functional.linear(source, relative)
        own, relative = weight.chunk(2)  # the first half of the heads sees x_i, the second x_j - x_i
        v = grouped_linear(source, relative, None, self.heads // 2)
        v_target = v if source is target else grouped_linear(target, relative, None, self.heads // 2)
        return torch.cat([grouped_linear(target, own, None, self.heads // 2), -v_target], dim=1) + bias, v

    def _norm_over_edges(self, u: Tensor, v: Tensor, ptr: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        norm, alone, num_edges = self.nn.norm, u.size(1) - v.size(1), index.numel()
        if not uses_batch_statistics(norm) or num_edges == 0:
            return scale_and_shift(norm, None, num_edges, u)
        of_target, of_source = degrees(ptr, index, v.size(0))
        of_u = statistics_of_sources(u[:, :alone], of_target, num_edges)
        of_sum = statistics_of_sums(u[:, alone:], v, ptr, index, of_target, of_source)
        mean, variance = (torch.cat(parts) for parts in zip(of_u, of_sum, strict=True))
        return scale_and_shift(norm, (mean, variance), num_edges, u)
