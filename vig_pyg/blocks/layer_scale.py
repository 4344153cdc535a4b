"""A scale per channel at the end of a branch (Touvron et al., "CaiT", 2021)."""

from typing import Any

import torch
from timm.layers import LayerScale
from torch import nn

from vig_pyg.checks import check_positive
from vig_pyg.conv.fold import is_bare
from vig_pyg.conv.linear import GroupedLinear, LinearNormAct


def scale_of(channels: int, start: float | None) -> nn.Module:
    """Return a scale per channel that starts from a number above zero; None for no scale.

    Raises:
        TypeError, ValueError: it is no such number.
    """
    if start is None:
        return nn.Identity()
    check_positive(layer_scale=start)
    return LayerScale(channels, start)


def folded_scale(layer: nn.Module, scale: nn.Module) -> nn.Module:
    """Fold a scale per channel into the map before it, after its norm; return what is left of the scale."""
    known: Any = layer
    if not (is_bare(scale, LayerScale) and is_bare(layer, LinearNormAct) and is_bare(known.linear, GroupedLinear)):
        return scale
    known.reparameterize()
    if not is_bare(known.norm, nn.Identity) or not is_bare(known.act, nn.Identity) or known.linear.bias is None:
        return scale
    gamma: Any = scale.gamma
    with torch.no_grad():
        known.linear.weight.mul_(gamma.unsqueeze(1))
        known.linear.bias.mul_(gamma)
    return nn.Identity()
