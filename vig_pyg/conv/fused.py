"""What our operators share: neighborhoods are reduced in one step, but only where that is what their messages mean."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch_geometric.nn import Aggregation, MessagePassing
from torch_geometric.nn.aggr import MeanAggregation, SumAggregation
from torch_geometric.nn.inits import reset
from torch_geometric.typing import Adj, OptPairTensor, OptTensor, PairTensor, Size

from vig_pyg.checks import check_whole
from vig_pyg.conv.inputs import check_inputs, pair_of
from vig_pyg.conv.lazy import Layers, give_shapes, without_shapes
from vig_pyg.conv.linear import Act, GroupedLinear, LinearNormAct, Norm
from vig_pyg.graph.edges import edge_list, in_order
from vig_pyg.graph.pyg_internals import is_as_made, messages_are_watched
from vig_pyg.kernels.torch_internals import is_watched

STEPS = ("message", "aggregate", "update")
SAME_WIDTH = ("sum", "add", "mean", "max", "min", "mul")

Aggr: TypeAlias = str | list[str] | Aggregation
InChannels: TypeAlias = int | tuple[int, int]


class MaxAggregation(Aggregation):
    """PyG's maximum, with the whole gradient where it is exactly zero.

    PyG scatters into zeros, and torch's ``scatter_reduce`` gives these a share of the gradient where they equal the
    maximum: half of it is lost at every node that is its own farthest neighbor in a max-relative graph, say. Equal
    neighbors share the gradient.
    """

    def forward(
        self,
        x: Tensor,
        index: Tensor | None = None,
        ptr: Tensor | None = None,
        dim_size: int | None = None,
        dim: int = -2,
    ) -> Tensor:
        """Return the maximum of every target's messages ``[E, C]``, zero where there are none: ``[dim_size, C]``."""
        assert index is not None and dim_size is not None
        start = x.new_full((dim_size, *x.shape[1:]), -torch.inf)
        places = index.view(-1, *[1] * (x.dim() - 1)).expand_as(x)
        out = start.scatter_reduce(0, places, x, "amax", include_self=False)
        alone = torch.ones(dim_size, dtype=torch.bool, device=x.device).index_fill_(0, index, False)
        return out.masked_fill(alone.view(-1, *[1] * (x.dim() - 1)), 0)


FUSED = {"max": MaxAggregation, "sum": SumAggregation, "mean": MeanAggregation}


class FusedConv(MessagePassing):
    """Message passing whose ``message_and_aggregate`` runs on edges sorted by target and on sparse adjacencies.

    Edges in another order are sorted first. Messages are passed one by one, as PyG does it, where they may be asked
    for: where a subclass or an instance overrides ``message``, ``aggregate`` or ``update`` alone, where the aggregation
    is another than the operator's own, where edges have weights or features, where messages flow from target to source,
    and where hooks or an explainer watch a message or the layers that it goes through.

    Of neighbors that are equal in a maximum one takes the whole gradient, as in ``torch.max(dim=…)``; where messages
    are passed one by one they share it, as in ``torch.scatter_reduce``. Both are subgradients. Sums are regrouped: an
    infinite feature may give infinity where ``∞ − ∞``, message by message, is not a number, or the reverse.

    Args:
        in_channels: Width of the input, or of sources and targets, which :meth:`layers` may bring to one width; -1
            where the first call is to say it.
        out_channels: Width of the output.
        heads: Heads of the linear maps (paper, Eq. 5).
        norm: As in :func:`~vig_pyg.conv.build_norm`.
        act: As in :func:`~vig_pyg.conv.build_act`.
        aggr: Another aggregation than the operator's own: any of PyG's words, a list of them, or a module.
        **kwargs: PyG's own: ``flow``, ``node_dim`` and so on.
    """

    SUPPORTS_FUSED_EDGE_INDEX = True
    complete = True  # norm and activation are its own
    own_aggr = "max"
    """What :meth:`message_and_aggregate` computes."""
    source: nn.Module | None
    """What brings sources of another width to that of the targets."""
    _overrides = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        fused = next(base for base in cls.__mro__ if "message_and_aggregate" in vars(base))
        cls._overrides = any(getattr(cls, step) is not getattr(fused, step) for step in STEPS)
        cls.propagate = MessagePassing.propagate  # what PyG generated for the parent knows the parent's messages

    def __init__(
        self,
        in_channels: InChannels,
        out_channels: int,
        heads: int = 1,
        norm: Norm = None,
        act: Act = None,
        aggr: Aggr | None = None,
        **kwargs: Any,
    ) -> None:
        aggr = self.own_aggr if aggr is None else aggr
        super().__init__(aggr=aggr, **kwargs)
        pair = in_channels if isinstance(in_channels, tuple | list) else (in_channels, in_channels)
        if len(pair) != 2:
            raise ValueError(f"in_channels must be one width or a pair (sources, targets), got {in_channels!r}")
        for width in pair:
            check_whole(in_channels=1 if width == -1 else width)
        check_whole(out_channels=out_channels, heads=heads)
        if self.node_dim not in (-2, 0):
            raise ValueError(f"nodes are the rows of a matrix: node_dim must be -2 or 0, got {self.node_dim}")
        if aggr == "max":
            self.aggr_module = MaxAggregation()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.heads = heads
        self.mapped = partial(LinearNormAct, heads=heads, norm=norm, act=act)
        self.widths: tuple[int, int] = (pair[0], pair[1])
        if -1 in self.widths:
            with torch.device("meta"):
                layers = self.layers(2 * heads, heads)
            layers = without_shapes(layers)
        else:
            layers = self.layers(*self.widths)
        for name, layer in {"source": None, **layers}.items():
            self.add_module(name, layer)

    @abstractmethod
    def layers(self, source: int, target: int) -> Layers:
        """Return the layers of the operator on sources and targets of these widths, by name."""

    def aggregated_width(self, width: int) -> int:
        """Return how wide the aggregation of messages of a width is: several aggregations are joined."""
        if isinstance(self.aggr, str) and self.aggr in SAME_WIDTH:
            return width
        weight = next(self.aggr_module.parameters(), torch.empty(0))
        with torch.no_grad():
            one = weight.new_zeros(1, width)
            place = torch.zeros(1, dtype=torch.long, device=one.device)
            return self.aggr_module(one, place, ptr=None, dim_size=1).size(1)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        super().reset_parameters()
        if -1 not in self.widths:
            for layer in self.children():
                reset(layer)

    def prepare(
        self,
        x: Tensor | OptPairTensor,
        edge_index: Adj,
        size: Size = None,
        edge_weight: OptTensor = None,
        edge_attr: OptTensor = None,
    ) -> tuple[PairTensor, Adj, OptTensor]:
        """Return ``(x_source, x_target)``, the edges, a plain list where messages are passed one by one, and weights.

        Raises:
            TypeError, ValueError: as :func:`~vig_pyg.conv.inputs.check_inputs`; messages have no
                use for what edges have; sources and targets differ where messages flow from target to source.
        """
        if -1 in self.widths:
            self._set_widths(x)
        weight = next(self.parameters())
        pair, edges, edge_weight = check_inputs(x, edge_index, self.widths, weight, size, edge_weight)
        self._check_taken(edge_weight=edge_weight, edge_attr=edge_attr)
        backward = self.flow == "target_to_source"
        if backward and pair[0] is not pair[1]:
            raise ValueError("flow='target_to_source' is for one set of nodes: give x as a tensor, not as a pair")
        if self.source is not None:
            pair = self.source(pair[0]), pair[1]
        fused = edge_attr is None and not backward and self._may_fuse()
        if not fused or (edge_weight is not None and not self._fuses_weights(edges, pair[1].size(0))):
            return pair, edge_list(edges).long(), edge_weight
        return pair, in_order(edges, pair[0].size(0), pair[1].size(0)), edge_weight

    def _fuses_weights(self, edges: Adj, num_targets: int) -> bool:
        """Return whether messages with weights are reduced in one step: where all targets have as many neighbors."""
        if "edge_weight" not in self.inspector.get_param_dict("message_and_aggregate") or not is_as_made(edges):
            return False
        return 0 < edges.size(1) == edges.max_degree * num_targets

    def _check_taken(self, **of_edges: OptTensor) -> None:
        """Refuse what edges have and messages do not take, which PyG would leave out.

        Raises:
            TypeError: names it.
        """
        for name, value in of_edges.items():
            if value is not None and name not in self.inspector.get_param_dict("message"):
                raise TypeError(
                    f"messages of {type(self).__name__} take no {name}, but edges have it (or a sparse adjacency has "
                    f"values other than 1): leave it out, or give the method message an argument {name}"
                )

    def message_layers(self) -> Iterable[nn.Module]:
        """Return the layers that messages go through."""
        return ()

    def _set_widths(self, x: Tensor | OptPairTensor) -> None:
        """Give all layers the widths of the first input."""
        source, target = pair_of(x)
        widths = []
        for features in (source, source if target is None else target):
            if features.dim() != 2:
                raise ValueError(f"node features must have shape [nodes, channels], got {list(features.shape)}")
            widths.append(features.size(1))
        for known, width in zip(self.widths, widths, strict=True):
            if known not in (-1, width):
                raise ValueError(f"in_channels={self.in_channels} does not fit features of {widths[0]}, {widths[1]}")
        layers = self.layers(*widths)  # refuses what does not fit, before anything is changed
        self.widths = widths[0], widths[1]
        self.in_channels = self.widths if isinstance(self.in_channels, tuple | list) else widths[1]
        give_shapes(self, layers)

    def _may_fuse(self) -> bool:
        if self.explain or self._overrides or any(step in vars(self) for step in STEPS):
            return False
        watched = messages_are_watched(self) or is_watched(self.aggr_module, *self.message_layers())
        return type(self.aggr_module) is FUSED[self.own_aggr] and not watched

    def __repr__(self) -> str:
        heads = f", heads={self.heads}" if self.heads > 1 else ""
        aggr = "" if self.aggr == self.own_aggr else f", aggr={self.aggr}"
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels}{heads}{aggr})"


def source_map(source: int, target: int) -> nn.Module | None:
    """Return a linear map without bias from the width of sources to that of targets, None where they are equal."""
    return None if source == target else GroupedLinear(source, target, bias=False)
