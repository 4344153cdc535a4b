"""The layer on nodes that everything is made of: a linear map in heads, a norm, an activation."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from timm.layers import get_act_layer
from torch import Tensor, nn

from vig_pyg.checks import check_whole
from vig_pyg.conv.fold import folded_norm
from vig_pyg.conv.inputs import check_nodes_for
from vig_pyg.conv.norm_act import BatchNorm, norm_act
from vig_pyg.kernels.grouped_linear import grouped_linear, paired_grouped_linear
from vig_pyg.kernels.recompute import recomputing

Norm: TypeAlias = str | Callable[[int], nn.Module] | None
Act: TypeAlias = str | Callable[[], nn.Module] | None

NORMS: dict[str, Callable[[int], nn.Module]] = {"batch": BatchNorm, "layer": nn.LayerNorm}


def build_norm(norm: Norm, channels: int) -> nn.Module:
    """Return a norm for nodes ``[N, channels]``: ``"batch"``, ``"layer"``, a factory, or None for no norm.

    Raises:
        ValueError: no norm has that name.
    """
    check_whole(channels=channels)
    if norm is None:
        return nn.Identity()
    if isinstance(norm, str):
        if norm not in NORMS:
            raise ValueError(f"norm must be one of {', '.join(NORMS)}, got {norm!r}")
        norm = NORMS[norm]
    return _made("norm", norm, channels)


def build_act(act: Act) -> nn.Module:
    """Return an activation: one of timm's names (``"gelu"``, ``"relu"``, ``"silu"``, …), a factory, or None.

    Raises:
        ValueError: timm knows no activation of that name.
    """
    if act is None:
        return nn.Identity()
    if not isinstance(act, str):
        return _made("act", act)
    try:
        return get_act_layer(act)()
    except KeyError:
        raise ValueError(f"timm has no activation called {act!r}; try gelu, relu, silu or hard_swish") from None


def _made(name: str, factory: Callable[..., nn.Module], *args: int) -> nn.Module:
    """Return what a factory makes.

    Raises:
        TypeError: it is none, or makes no module.
    """
    if not callable(factory) or isinstance(factory, nn.Module):
        raise TypeError(f"{name} must be a name, a class or factory that makes a module, or None, got {factory!r}")
    made = factory(*args)
    if not callable(made):
        raise TypeError(f"the factory given as {name} must make a module or function, got {made!r}")
    return made


class GroupedLinear(nn.Module):
    r"""A linear map whose channels are split into heads with weights of their own (paper, Eq. 5).

    .. math:: y = [x^1 W^1, x^2 W^2, \dots, x^h W^h] + b

    The same as a 1×1 convolution in ``heads`` groups. Starts from Kaiming-normal weights and zero bias.

    Args:
        in_channels: Width of the input, a multiple of ``heads``.
        out_channels: Width of the output, a multiple of ``heads``.
        heads: Number of heads ``h``.
        bias: Whether there is a bias ``b``.

    Shapes:
        - input ``[N, in_channels]``, or two of ``[N, in_channels / 2]``; output ``[N, out_channels]``

    Raises:
        ValueError: ``heads`` does not divide the channels.
    """

    def __init__(self, in_channels: int, out_channels: int, heads: int = 1, bias: bool = True) -> None:
        super().__init__()
        check_whole(in_channels=in_channels, out_channels=out_channels, heads=heads)
        if in_channels % heads or out_channels % heads:
            raise ValueError(f"heads={heads} must divide {in_channels} input and {out_channels} output channels")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.heads = heads
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // heads))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        nn.init.kaiming_normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the mapped nodes, or those of two matrices' interleaved channels ``(x⁰, y⁰, x¹, y¹, …)``."""
        weight = self.weight
        if y is None:
            check_nodes_for(weight, self.in_channels, x)
            return grouped_linear(x, weight, self.bias, self.heads)
        check_nodes_for(weight, self.in_channels // 2, x, y)
        return paired_grouped_linear(x, y, weight, self.bias, self.heads)

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows."""
        return f"{self.in_channels}, {self.out_channels}, heads={self.heads}"


class LinearNormAct(nn.Module):
    r"""A linear map in heads, a norm and an activation, on nodes: :math:`\sigma(\mathrm{norm}(x W + b))`.

    Args:
        in_channels: Width of the input.
        out_channels: Width of the output.
        heads: As in :class:`GroupedLinear`.
        norm: As in :func:`build_norm`.
        act: As in :func:`build_act`.

    Shapes:
        - input ``[N, in_channels]``, or two of ``[N, in_channels / 2]``; output ``[N, out_channels]``
    """

    def __init__(
        self, in_channels: int, out_channels: int, heads: int = 1, norm: Norm = "batch", act: Act = None
    ) -> None:
        super().__init__()
        self.linear = GroupedLinear(in_channels, out_channels, heads)
        self.norm = build_norm(norm, out_channels)
        self.act = build_act(act)

    def reset_parameters(self) -> None:
        """Draw new weights and forget the running statistics."""
        self.linear.reset_parameters()
        if isinstance(self.norm, nn.BatchNorm1d | nn.LayerNorm):
            self.norm.reset_parameters()

    def reparameterize(self) -> None:
        """Fold a batch norm into the map, for inference; ``timm.utils.reparameterize_model`` calls it so."""
        self.norm = folded_norm(self.linear, self.norm, GroupedLinear)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the mapped, normalized and activated nodes, or those of the interleaved channels of two matrices."""
        if y is not None and not isinstance(self.linear, GroupedLinear):  # what replaces it takes one matrix
            x, y = torch.stack([x, y], dim=2).flatten(1), None
        with recomputing(x):
            mapped = self.linear(x) if y is None else self.linear(x, y)
        return norm_act(mapped, self.norm, self.act)
