"""Makes any operator fit into a Grapher."""

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.typing import Adj, PairTensor

from vig_pyg.conv.linear import Act, Norm, build_act, build_norm
from vig_pyg.conv.norm_act import norm_act
from vig_pyg.conv.registry import ConvFactory, build_conv, get_conv
from vig_pyg.graph.edges import edge_list
from vig_pyg.registry import parameters


def build_layer(
    conv: str | ConvFactory, in_channels: int, out_channels: int, *, norm: Norm, act: Act, **options: Any
) -> nn.Module:
    """Build an operator that normalizes, activates and accepts a bipartite graph, completing it where needed.

    Raises:
        TypeError: the operator takes ``norm`` and ``act`` and does not say whether it is complete with them.
    """
    layer = build_conv(conv, in_channels, out_channels, norm=norm, act=act, **options)
    for part in layer.modules():
        if isinstance(part, MessagePassing):
            part.fuse = _Fuse(part, part.fuse)
    complete = getattr(layer, "complete", None)
    if complete is None and {"norm", "act"} <= set(parameters(get_conv(conv))):
        raise TypeError(
            f"{type(layer).__name__} takes norm and act: give it the attribute complete = True if it normalizes and "
            "activates its output with them, complete = False if a model has to"
        )
    return layer if complete else CompletedConv(layer, out_channels, norm, act)


def takes_weight(layer: nn.Module) -> bool:
    """Return whether an operator that :func:`build_layer` built takes a weight per edge, as ``edge_weight``."""
    conv = layer.conv if isinstance(layer, CompletedConv) else layer
    return "edge_weight" in parameters(conv.forward)


class _Fuse:
    """PyG's flag ``fuse``. ``timm.utils.reparameterize_model`` takes the word for a method and calls it."""

    def __init__(self, conv: MessagePassing, fuse: bool) -> None:
        self.conv, self.fuse = conv, fuse

    def __bool__(self) -> bool:
        return self.fuse

    def __call__(self) -> MessagePassing:
        return self.conv


class CompletedConv(nn.Module):
    r"""Any operator, followed by a norm and an activation (paper, Eq. 6), on a bipartite graph as well.

    Many operators know one set of nodes only, so sources and targets are joined into one graph; what is computed
    for the sources is left out.

    Args:
        conv: Called ``conv(x, edge_index)``.
        out_channels: Width that it returns.
        norm: As in :func:`~vig_pyg.conv.build_norm`.
        act: As in :func:`~vig_pyg.conv.build_act`.

    Shapes:
        - x: ``[N, C]``, or ``([M, C], [N, C])``
        - output: ``[N, out_channels]``
    """

    def __init__(self, conv: nn.Module, out_channels: int, norm: Norm, act: Act) -> None:
        super().__init__()
        self.conv = conv
        self.out_channels = out_channels
        self.norm = build_norm(norm, out_channels)
        self.act = build_act(act)

    def forward(self, x: Tensor | PairTensor, edge_index: Adj, edge_weight: Tensor | None = None) -> Tensor:
        """Return the new features of the targets; a weight per edge is for operators that take one."""
        edges = edge_list(edge_index)
        weight = {} if edge_weight is None else {"edge_weight": edge_weight}
        if isinstance(x, Tensor):
            out = self.conv(x, edges, **weight)
        else:
            sources, targets = x
            edges = edges + edges.new_tensor([[targets.size(0)], [0]])
            out = self.conv(torch.cat([targets, sources]), edges, **weight)[: targets.size(0)]
        if out.size(1) != self.out_channels:
            raise ValueError(
                f"{type(self.conv).__name__} returned {out.size(1)} channels where {self.out_channels} were asked for: "
                "where heads are concatenated, register a factory that divides the channels by them, as 'gat' does"
            )
        return norm_act(out, self.norm, self.act)
