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

# What an operator's forward may name beyond nodes and edges, and gets from the graph.
ASKED = ("edge_weight", "edge_attr", "pos", "k")


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


def asked_of_edges(layer: nn.Module) -> set[str]:
    """Return what an operator that :func:`build_layer` built takes beyond nodes and edges, of :data:`ASKED`."""
    conv = layer.conv if isinstance(layer, CompletedConv) else layer
    asked = {name for name in ASKED if name in parameters(conv.forward)}
    return asked - {"edge_attr"} if getattr(conv, "edge_dim", 0) is None else asked  # made for edges without features


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

    def forward(self, x: Tensor | PairTensor, edge_index: Adj, **given: Any) -> Tensor:
        """Return the new features of the targets; what else is given, of :data:`ASKED`, is for the operator.

        Raises:
            TypeError, ValueError: the operator returns something else than a row of ``out_channels`` for every node.
        """
        edges, count = edge_list(edge_index), None
        if not isinstance(x, Tensor):
            sources, targets = x
            count = targets.size(0)
            edges = edges + edges.new_tensor([[count], [0]])
            x = torch.cat([targets, sources])
            if "pos" in given:
                given["pos"] = torch.cat([given["pos"][1], given["pos"][0]])
        out = self.conv(x, edge_index=edges, **given)
        self._check(out, x.size(0))
        return norm_act(out if count is None else out[:count], self.norm, self.act)

    def _check(self, out: object, num_nodes: int) -> None:
        name = type(self.conv).__name__
        if not isinstance(out, Tensor):
            what = f"a tuple of {len(out)}" if isinstance(out, tuple) else type(out).__name__
            raise TypeError(f"{name} returned {what} where a tensor was asked for: register a factory that unpacks it")
        if out.dim() != 2 or out.size(0) != num_nodes:
            raise ValueError(
                f"{name} returned shape {list(out.shape)} where a row for every node was asked for, "
                f"[{num_nodes}, {self.out_channels}]"
            )
        if out.size(1) != self.out_channels:
            raise ValueError(
                f"{name} returned {out.size(1)} channels where {self.out_channels} were asked for: where heads are "
                "concatenated, register a factory that divides the channels by them, as 'gat' does"
            )
