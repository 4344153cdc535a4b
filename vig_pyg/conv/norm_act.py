"""A norm and an activation whose outputs training does not keep.

Autograd keeps what a norm returns, for the activation after it, and what that returns, for the next layer. Both follow
from what the norm was given, which is kept anyway, by one multiplication, one addition and the activation. So they
carry a recipe, and who would keep them keeps the recipe: a training step of ViG holds half the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import ref

import torch
from timm.layers import activations
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torchvision.ops.misc import FrozenBatchNorm2d

# Activations are computed again where they return this many values (8 MB in float32), norms alone, which cost less,
# where they return half as many: below, time matters more than memory.
LARGE = 1 << 21
# Activations that are known to give the same again, and to fall and then rise, or only to rise. Nothing is known of
# subclasses, which may compute something else.
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
    r"""Return :math:`\sigma(\mathrm{norm}(x))`, with a recipe to compute it again for :func:`keeping_recipe`.

    Shapes:
        - x, output: ``[N, C]``
    """
    normed = normalize(x, norm)
    alone = type(act) is nn.Identity
    if not _may_recompute(normed) or normed.numel() < (LARGE // 2 if alone else LARGE):
        return act(normed)
    if type(act) not in KNOWN_ACTIVATIONS or getattr(act, "inplace", False) or is_watched(norm, act):
        return act(normed)
    affine = _affine(norm, normed.grad_fn)
    again = None if affine is None else _Normed(x.detach(), *affine, normed.dtype)
    if again is not None:
        _attach(normed, again.take)
    if alone:
        return act(normed)
    with keeping_recipe(normed):
        out = act(normed)
    compute = normed.detach if again is None else again.compute
    _attach(out, lambda: act.forward(compute()))
    return out


def is_watched(*modules: nn.Module) -> bool:
    """Return whether hooks look at what modules take or return, so that they must be called as modules."""
    hooks = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"
    return any(getattr(module, kind) for module in modules for kind in hooks)


@contextmanager
def keeping_recipe(x: Tensor) -> Iterator[None]:
    """Within it, what autograd would keep of ``x`` or of a view of it is computed again in the backward pass.

    Does nothing if neither ``x`` nor what it is a view of carries a recipe, and leaves it to the hooks of others
    (gradient checkpointing, functorch) where there are any.
    """
    made = x if hasattr(x, "recipe") or not _may_recompute(x) or x._base is None else x._base
    recipe, version = getattr(made, "recipe", (None, None))
    if recipe is None or version != x._version or not _may_recompute(x):
        yield
        return
    source = ref(made)  # hooks live as long as the graph, so they must not hold it

    def pack(kept: Tensor) -> Any:
        same = kept is source() or kept._base is source()
        return (kept.size(), kept.stride(), kept.storage_offset()) if same else kept

    def unpack(kept: Any) -> Tensor:
        return kept if isinstance(kept, Tensor) else recipe().as_strided(*kept)

    with saved_tensors_hooks(pack, unpack):
        yield


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


def _affine(norm: Any, node: Any) -> tuple[Tensor, Tensor] | None:
    """Return the scale and the shift that a batch norm used, or None for another norm."""
    if type(norm) not in BATCH_NORMS:
        return None
    if not norm.training and norm.running_mean is not None and norm.running_var is not None:
        mean, scale = norm.running_mean, (norm.running_var + norm.eps).rsqrt()
    elif hasattr(node, "_saved_result2"):
        mean, scale = node._saved_result1, node._saved_result2
    else:
        return None
    if norm.weight is None:
        return scale, -mean * scale
    scale = scale * norm.weight.detach()
    return scale, norm.bias.detach() - mean * scale


def _attach(x: Tensor, recipe: Callable[[], Tensor]) -> None:
    x.recipe = recipe, x._version  # type: ignore[attr-defined]


def _may_recompute(x: Tensor) -> bool:
    if torch.compiler.is_compiling() or not (torch.is_grad_enabled() and x.requires_grad):
        return False
    hooks: Any = torch._C._autograd
    return hooks._saved_tensors_hooks_is_enabled() and hooks._top_saved_tensors_default_hooks(True) is None
