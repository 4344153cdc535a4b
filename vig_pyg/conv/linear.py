"""The layer on nodes that everything is made of: a linear map in heads, a norm, an activation."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from timm.layers import get_act_layer
from torch import Tensor, nn

Norm: TypeAlias = str | Callable[[int], nn.Module] | None
Act: TypeAlias = str | Callable[[], nn.Module] | None

NORMS: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


def build_norm(norm: Norm, channels: int) -> nn.Module:
    """Return a norm for nodes ``[N, channels]``: ``"batch"``, ``"layer"``, a factory, or None for no norm.

    Raises:
        ValueError: no norm has that name.
    """
    if norm is None:
        return nn.Identity()
    if isinstance(norm, str):
        if norm not in NORMS:
            raise ValueError(f"norm must be one of {', '.join(NORMS)}, got {norm!r}")
        norm = NORMS[norm]
    return norm(channels)


def build_act(act: Act) -> nn.Module:
    """Return an activation: one of timm's names (``"gelu"``, ``"relu"``, ``"silu"``, …), a factory, or None.

    Raises:
        ValueError: timm knows no activation of that name.
    """
    if act is None:
        return nn.Identity()
    if not isinstance(act, str):
        return act()
    try:
        return get_act_layer(act)()
    except KeyError:
        raise ValueError(f"timm has no activation called {act!r}; try gelu, relu, silu or hard_swish") from None


class HeadLinear(nn.Module):
    r"""A linear map whose channels are split into heads with weights of their own (paper, Eq. 5).

    .. math:: y = [x^1 W^1, x^2 W^2, \dots, x^h W^h] + b

    The same as a 1×1 convolution in ``heads`` groups. Starts from Kaiming-normal weights and zero bias.

    Args:
        in_channels: Width of the input, a multiple of ``heads``.
        out_channels: Width of the output, a multiple of ``heads``.
        heads: Number of heads ``h``.

    Shapes:
        - input ``[N, in_channels]``, output ``[N, out_channels]``

    Raises:
        ValueError: ``heads`` does not divide the channels.
    """

    def __init__(self, in_channels: int, out_channels: int, heads: int = 1) -> None:
        super().__init__()
        if heads < 1 or in_channels % heads or out_channels % heads:
            raise ValueError(f"heads={heads} must divide {in_channels} input and {out_channels} output channels")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.heads = heads
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // heads))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        nn.init.kaiming_normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mapped nodes."""
        return head_linear(x, self.weight, self.bias, self.heads)

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows."""
        return f"{self.in_channels}, {self.out_channels}, heads={self.heads}"


def head_linear(x: Tensor, weight: Tensor, bias: Tensor | None, heads: int) -> Tensor:
    """Map nodes ``[N, heads · c]`` head by head with ``weight [out, c]``: see :class:`HeadLinear`."""
    if heads == 1:
        return nn.functional.linear(x, weight, bias)
    split = x.view(len(x), heads, weight.size(1)).transpose(0, 1)
    per_head = weight.unflatten(0, (heads, -1)).transpose(1, 2)
    out = torch.bmm(split, per_head) if bias is None else torch.baddbmm(bias.view(heads, 1, -1), split, per_head)
    return out.transpose(0, 1).reshape(len(x), len(weight))


def paired_head_linear(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor, heads: int) -> Tensor:
    """Return :func:`head_linear` of the interleaved channels ``(x⁰, y⁰, x¹, y¹, …)``, which are never laid out.

    Shapes:
        - x, y ``[N, C]``, weight ``[out, 2 C / heads]``, output ``[N, out]``
    """
    of_x, of_y = (part.unflatten(0, (heads, -1)).transpose(1, 2) for part in weight.unflatten(1, (-1, 2)).unbind(2))
    x, y = (part.view(len(part), heads, of_x.size(1)).transpose(0, 1) for part in (x, y))
    out = torch.baddbmm(torch.bmm(x, of_x), y, of_y)
    return out.transpose(0, 1).reshape(-1, len(bias)) + bias


class LinearNormAct(nn.Module):
    r"""A linear map in heads, a norm and an activation, on nodes: :math:`\sigma(\mathrm{norm}(x W + b))`.

    Args:
        in_channels: Width of the input.
        out_channels: Width of the output.
        heads: As in :class:`HeadLinear`.
        norm: As in :func:`build_norm`.
        act: As in :func:`build_act`.

    Shapes:
        - input ``[N, in_channels]``, output ``[N, out_channels]``
    """

    def __init__(
        self, in_channels: int, out_channels: int, heads: int = 1, norm: Norm = "batch", act: Act = None
    ) -> None:
        super().__init__()
        self.linear = HeadLinear(in_channels, out_channels, heads)
        self.norm = build_norm(norm, out_channels)
        self.act = build_act(act)

    def reset_parameters(self) -> None:
        """Draw new weights and forget the running statistics."""
        self.linear.reset_parameters()
        if isinstance(self.norm, nn.BatchNorm1d | nn.LayerNorm):
            self.norm.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Return the mapped, normalised and activated nodes."""
        return self.act(self.norm(self.linear(x)))

    def forward_pair(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the same for the interleaved channels ``(x⁰, y⁰, x¹, y¹, …)`` of two node matrices."""
        linear = self.linear
        return self.act(self.norm(paired_head_linear(x, y, linear.weight, linear.bias, linear.heads)))
