"""A batch norm folded into the map before it, for inference."""

from typing import Any

import torch
from torch import nn
from torchvision.ops.misc import FrozenBatchNorm2d

from vig_pyg.conv.norm_act import BATCH_NORMS
from vig_pyg.kernels.torch_internals import FORWARD_HOOKS, is_watched


def is_bare(module: nn.Module, *kinds: type[nn.Module]) -> bool:
    """Return whether a module is exactly of a kind, and no hooks look at or change what it does."""
    return type(module) in kinds and not is_watched(module, by=FORWARD_HOOKS)


def folded_norm(linear: nn.Module, norm: nn.Module, kind: type[nn.Module]) -> nn.Module:
    r"""Fold a batch norm, as it is in evaluation, into the map before it; return the norm that is left to apply.

    .. math:: W \leftarrow W a, \qquad b \leftarrow (b - \mu) \, a + \beta, \qquad
        a = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}

    Args:
        linear: The map. It stays as it is where it is not exactly of the kind, as LoRA, a parametrization or pruning
            leave it, or where hooks look at it.
        norm: Another norm than batch norm stays too.
        kind: Has ``weight``, whose first axis counts output channels, and ``bias``.
    """
    if not (is_bare(linear, kind) and is_bare(norm, *BATCH_NORMS, FrozenBatchNorm2d)):
        return norm
    layer: Any = linear
    known: Any = norm
    if known.running_mean is None or known.running_var is None or layer.bias is None:
        return norm
    scale = (known.running_var.double() + known.eps).rsqrt()
    shift = -known.running_mean.double() * scale
    if known.weight is not None:
        scale, shift = scale * known.weight, shift * known.weight + known.bias
    with torch.no_grad():
        layer.weight.copy_(layer.weight.double() * scale.view(-1, *[1] * (layer.weight.dim() - 1)))
        layer.bias.copy_(layer.bias.double() * scale + shift)
    return nn.Identity()
