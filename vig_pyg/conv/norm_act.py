"""A norm and an activation whose outputs training does not keep.

Autograd keeps what a norm returns, for the activation behind it, and what that returns, for the next layer. Both follow
from what the norm was given, which is kept anyway, by one multiplication, one addition and the activation. So they
carry a recipe, and who would keep them keeps the recipe: a training step of ViG holds half the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import ref

import torch
from timm.layers import activations
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

# Activations are computed again where they return so many values: below (8 MB in float32) time is dearer than memory.
LARGE = 1 << 21
# Activations that give the same again.
DETERMINISTIC = (
    nn.GELU,
    nn.Hardswish,
    nn.LeakyReLU,
    nn.Mish,
    nn.ReLU,
    nn.SiLU,
    activations.GELU,
    activations.GELUTanh,
    activations.QuickGELU,
)


def norm_act(x: Tensor, norm: nn.Module, act: nn.Module) -> Tensor:
    r"""Return :math:`\sigma(\mathrm{norm}(x))`, with a recipe to compute it again for :func:`keeping_recipe`.

    Shapes:
        - x, output: ``[N, C]``
    """
    normed = norm(x)
    if not _may_recompute(normed) or getattr(act, "inplace", False):
        return act(normed)
    recipe = _Normed(normed.detach(), x.detach(), norm, normed.grad_fn)
    if isinstance(act, nn.Identity) and recipe.is_known:
        _attach(normed, recipe.take)
    if normed.numel() < LARGE or not isinstance(act, DETERMINISTIC):
        return act(normed)
    if recipe.is_known:
        _attach(normed, recipe.take)
    with keeping_recipe(normed):
        out = act(normed)
    _attach(out, lambda: act.forward(recipe.compute()))
    return out


@contextmanager
def keeping_recipe(x: Tensor) -> Iterator[None]:
    """Within it, what autograd would keep of ``x`` or of a view of it is computed again in the backward pass.

    Does nothing if ``x`` carries no recipe, and leaves it to the hooks of others (gradient checkpointing, functorch)
    where there are any.
    """
    attached = getattr(x, "recipe", None)
    if attached is None or not _may_recompute(x) or attached[1] != x._version:
        yield
        return
    recipe: Callable[[], Tensor] = attached[0]
    source = ref(x)  # hooks live as long as the graph, so they must not hold x

    def pack(kept: Tensor) -> Tensor | tuple[torch.Size, tuple[int, ...], int]:
        same = kept is source() or kept._base is source()
        return (kept.size(), kept.stride(), kept.storage_offset()) if same else kept

    def unpack(kept: Tensor | tuple[torch.Size, tuple[int, ...], int]) -> Tensor:
        return kept if isinstance(kept, Tensor) else recipe().as_strided(*kept)

    with saved_tensors_hooks(pack, unpack):
        yield


class _Normed:
    """Computes what a norm returned again: from what it was given, where it is a batch norm."""

    def __init__(self, normed: Tensor, x: Tensor, norm: nn.Module, node: torch.autograd.graph.Node | None) -> None:
        statistics = _statistics(norm, node)
        self.is_known = statistics is not None
        self.kept, self.scale, self.shift = normed, None, None
        self.computed: Tensor | None = None
        if statistics is not None:
            mean, self.scale = statistics
            if norm.weight is not None:
                self.scale = self.scale * norm.weight.detach()
            self.shift = -mean * self.scale if norm.bias is None else norm.bias.detach() - mean * self.scale
            self.kept, self.dtype = x, normed.dtype

    def compute(self) -> Tensor:
        """Return it, and remember it for the activation, which asks next."""
        if not self.is_known:
            return self.kept
        self.computed = torch.addcmul(self.shift, self.kept, self.scale).to(self.dtype)
        return self.computed

    def take(self) -> Tensor:
        """Return it and forget it."""
        normed = self.compute() if self.computed is None else self.computed
        self.computed = None
        return normed


def _statistics(norm: nn.Module, node: torch.autograd.graph.Node | None) -> tuple[Tensor, Tensor] | None:
    """Return the mean and the inverse deviation that a batch norm used, or None for another norm."""
    if type(norm) is not nn.BatchNorm1d:
        return None
    if not norm.training and norm.running_mean is not None and norm.running_var is not None:
        return norm.running_mean.clone(), (norm.running_var + norm.eps).rsqrt()
    mean, deviation = (getattr(node, f"_saved_result{i}", None) for i in (1, 2))
    return None if mean is None or mean.numel() == 0 else (mean, deviation)


def _attach(x: Tensor, recipe: Callable[[], Tensor]) -> None:
    x.recipe = recipe, x._version  # type: ignore[attr-defined]


def _may_recompute(x: Tensor) -> bool:
    if torch.compiler.is_compiling() or not (torch.is_grad_enabled() and x.requires_grad):
        return False
    hooks = torch._C._autograd
    return hooks._saved_tensors_hooks_is_enabled() and hooks._top_saved_tensors_default_hooks(True) is None
