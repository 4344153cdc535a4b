"""What our operators share: neighborhoods are reduced in one step, but only where that is what their messages mean."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import Aggregation, MessagePassing
from torch_geometric.nn.inits import reset
from torch_geometric.typing import Adj, PairTensor

from vig_pyg.checks import check_whole
from vig_pyg.conv.inputs import check_inputs
from vig_pyg.graph.edges import edge_list
from vig_pyg.graph.pyg_internals import messages_are_watched
from vig_pyg.kernels.torch_internals import is_watched

STEPS = ("message", "aggregate", "update")


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


class FusedConv(MessagePassing):
    """Message passing whose ``message_and_aggregate`` runs on edges sorted by target and on sparse adjacencies.

    Messages are passed one by one, as PyG does it, where they may be asked for: where a subclass or an instance
    overrides ``message``, ``aggregate`` or ``update`` alone, where the aggregation is another than the operator's own,
    and where hooks watch a message or the layers that it goes through.

    Of neighbors that are equal in a maximum one takes the whole gradient, as in ``torch.max(dim=…)``; where messages
    are passed one by one they share it, as in ``torch.scatter_reduce``. Both are subgradients. Sums are regrouped: an
    infinite feature may give infinity where ``∞ − ∞``, message by message, is not a number, or the reverse.

    Args:
        aggr: The aggregation, by PyG's name.
        in_channels: Width of the input.
        out_channels: Width of the output.
    """

    SUPPORTS_FUSED_EDGE_INDEX = True
    complete = True  # norm and activation are its own
    _overrides = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        fused = next(base for base in cls.__mro__ if "message_and_aggregate" in vars(base))
        cls._overrides = any(getattr(cls, step) is not getattr(fused, step) for step in STEPS)

    def __init__(self, aggr: str, in_channels: int, out_channels: int) -> None:
        super().__init__(aggr=aggr)
        check_whole(in_channels=in_channels, out_channels=out_channels)
        if aggr == "max":
            self.aggr_module = MaxAggregation()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self._own_aggregation = type(self.aggr_module)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        super().reset_parameters()
        for layer in self.children():
            reset(layer)

    def prepare(self, x: Tensor | PairTensor, edge_index: Adj) -> tuple[PairTensor, Adj]:
        """Return ``(x_source, x_target)`` and the edges, checked, as a plain list where messages are passed one by one.

        Raises:
            TypeError, ValueError: as :func:`~vig_pyg.conv.inputs.check_inputs`.
        """
        weight = next(self.parameters())
        pair, edge_index = check_inputs(x, edge_index, self.in_channels, weight)
        return pair, edge_index if self._may_fuse() else edge_list(edge_index)

    def message_layers(self) -> Iterable[nn.Module]:
        """Return the layers that messages go through."""
        return ()

    def _may_fuse(self) -> bool:
        watched = messages_are_watched(self) or is_watched(self.aggr_module, *self.message_layers())
        own = type(self.aggr_module) is self._own_aggregation and not any(step in vars(self) for step in STEPS)
        return own and not self._overrides and not watched
