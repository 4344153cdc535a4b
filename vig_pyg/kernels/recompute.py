"""Tensors that training computes again in the backward pass instead of keeping them.

A tensor that follows from what is kept anyway carries a function that computes it again, and autograd keeps that
function in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from vig_pyg.checks import check_flags
from vig_pyg.kernels.torch_internals import base_of, saves_without_hooks, version_of


class recompute_activations:
    """Choose whether training computes large activations again (True, as it does by itself) or keeps them (False).

    With False, autograd keeps what it always does: a training step is a little faster and holds about twice the memory.
    Gradients are the same. Like :class:`torch.set_grad_enabled` it holds from its call on, or within ``with``. It is no
    option of a model, as it changes nothing of what a model is and serves operators outside of models too.

    Example::

        with vig_pyg.recompute_activations(False):
            loss = model(images).square().mean()

    Raises:
        TypeError: ``enabled`` is neither True nor False.
    """

    enabled = True

    def __init__(self, enabled: bool) -> None:
        check_flags(enabled=enabled)
        self.before = recompute_activations.enabled
        recompute_activations.enabled = enabled

    def __enter__(self) -> None:
        """Do nothing more."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Choose what was chosen before."""
        recompute_activations.enabled = self.before


def may_recompute(x: Tensor) -> bool:
    """Return whether training may compute ``x`` again, unless a compiler or the hooks of others decide on it."""
    if not recompute_activations.enabled or torch.compiler.is_compiling():
        return False
    return torch.is_grad_enabled() and x.requires_grad and saves_without_hooks()


def set_recompute(x: Tensor, compute: Callable[[], Tensor]) -> None:
    """Have :func:`recomputing` compute ``x`` again by a function, unless it is changed in place before."""
    x.recompute = compute, version_of(x)  # type: ignore[attr-defined]


@contextmanager
def recomputing(x: Tensor) -> Iterator[None]:
    """Within it, what autograd would keep of ``x`` or of a view of it is computed again in the backward pass.

    Does nothing if neither ``x`` nor what it is a view of can be, and leaves it to the hooks of others (gradient
    checkpointing, functorch) where there are any.
    """
    made = _made(x) if isinstance(x, Tensor) and may_recompute(x) else None  # what is no tensor, the layer refuses
    if made is None:
        yield
        return
    compute: Callable[[], Tensor] = made.recompute[0]  # type: ignore[attr-defined]
    source = ref(made)  # hooks live as long as the graph, so they must not hold it

    def pack(kept: Tensor) -> Any:
        same = kept is source() or base_of(kept) is source()
        return (kept.size(), kept.stride(), kept.storage_offset()) if same else kept

    def unpack(kept: Any) -> Tensor:
        return kept if isinstance(kept, Tensor) else compute().as_strided(*kept)

    with saved_tensors_hooks(pack, unpack):
        yield


def _made(x: Tensor) -> Tensor | None:
    """Return ``x``, or what it is a view of, where it can be computed again."""
    for made in (x, base_of(x)):
        if hasattr(made, "recompute") and made.recompute[1] == version_of(x):  # type: ignore[union-attr]
            return made
    return None
