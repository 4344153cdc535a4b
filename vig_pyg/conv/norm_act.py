"""A norm and an activation whose outputs training does not keep.

Autograd keeps what a norm returns, for the activation after it, and what that returns, for the next layer. Both follow
from what the norm was given, which is kept anyway, by one multiplication, one addition and the activation. So they are
computed again: a training step of ViG holds half the memory.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import activations
from torch import Tensor, nn
from torchvision.ops.misc import FrozenBatchNorm2d

from vig_pyg.kernels.recompute import may_recompute, recomputing, set_recompute
from vig_pyg.kernels.torch_internals import batch_statistics, is_watched

# Activations are computed again where they return this many values (8 MB in float32), norms alone, which cost less,
# where they return half as many: below, time matters more than memory.
LARGE = 1 << 21
# Activations that are known to give the same again, and to be quasiconvex: to fall and then rise, or only to rise.
# Nothing is known of subclasses, which may compute something else.
KNOWN_ACTIVATIONS = (
    nn.GELU,
    nn.Hardswish,
    nn.Identity,
    nn.LeakyReLU,
    nn.Mish,
    nn.ReLU,
    nn.SiLU,
    activations.GELU,
    activations.GELUTanh,
    activations.QuickGELU,
)


class BatchNorm(nn.BatchNorm1d, nn.BatchNorm2d):
    """:class:`torch.nn.BatchNorm1d`, also found where norms of maps are looked for, as ``timm.utils.freeze`` does."""


BATCH_NORMS = (BatchNorm, nn.BatchNorm1d)


def normalize(x: Tensor, norm: nn.Module) -> Tensor:
    """Return the normalized nodes; norms of maps, as timm leaves when it freezes or unfreezes, see maps of one pixel.

    Shapes:
        - x, output: ``[N, C]``
    """
    if isinstance(norm, FrozenBatchNorm2d) or type(norm) is nn.BatchNorm2d:
        return norm(x[..., None, None]).flatten(1)
    return norm(x)


def norm_act(x: Tensor, norm: nn.Module, act: nn.Module) -> Tensor:
    r"""Return :math:`\sigma(\mathrm{norm}(x))`, which :func:`~vig_pyg.kernels.recompute.recomputing` can compute again.

    Shapes:
        - x, output: ``[N, C]``
    """
    normed = normalize(x, norm)
    alone = type(act) is nn.Identity
    if not may_recompute(normed) or normed.numel() < (LARGE // 2 if alone else LARGE):
        return act(normed)
    if type(act) not in KNOWN_ACTIVATIONS or getattr(act, "inplace", False) or is_watched(norm, act):
        return act(normed)
    affine = _affine(norm, normed)
    again = None if affine is None else _Normed(x.detach(), *affine, normed.dtype)
    if again is not None:
        set_recompute(normed, again.take)
    if alone:
        return act(normed)
    with recomputing(normed):
        out = act(normed)
    compute = normed.detach if again is None else again.compute
    set_recompute(out, lambda: act.forward(compute()))
    return out


class _Normed:
    """Computes again what a batch norm returned: ``scale · x + shift``."""

    def __init__(self, x: Tensor, scale: Tensor, shift: Tensor, dtype: torch.dtype) -> None:
        self.x, self.scale, self.shift, self.dtype = x, scale, shift, dtype
        self.computed: Tensor | None = None

    def compute(self) -> Tensor:
        """Return it, and remember it for the activation, which asks next."""
        self.computed = torch.addcmul(self.shift, self.x, self.scale).to(self.dtype)
        return self.computed

    def take(self) -> Tensor:
        """Return it and forget it."""
        normed = self.compute() if self.computed is None else self.computed
        self.computed = None
        return normed


def _affine(norm: Any, normed: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return the scale and the shift that a batch norm used, or None for another norm."""
    if type(norm) not in BATCH_NORMS:
        return None
    if not norm.training and norm.running_mean is not None and norm.running_var is not None:
        mean, scale = norm.running_mean, (norm.running_var + norm.eps).rsqrt()
    elif (batch := batch_statistics(normed)) is not None:
        mean, scale = batch
    else:
        return None
    if norm.weight is None:
        return scale, -mean * scale
    scale = scale * norm.weight.detach()
    return scale, norm.bias.detach() - mean * scale
