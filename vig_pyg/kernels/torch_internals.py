"""All that the library uses of torch beyond its documented interface.

Seen to work with the versions of ``SEEN``; with another, ``tests/kernels/test_torch_internals.py`` asks for a look.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

SEEN = ">=2.11,<2.12"

FORWARD_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
HOOKS = (*FORWARD_HOOKS, "_backward_hooks", "_backward_pre_hooks")


def is_watched(*modules: nn.Module, by: tuple[str, ...] = HOOKS) -> bool:
    """Return whether hooks look at what modules take or return, so that they must be called as modules."""
    return any(getattr(module, kind) for module in modules for kind in by)


def base_of(x: Tensor) -> Tensor | None:
    """Return the tensor that ``x`` is a view of, if it is one."""
    return x._base


def version_of(x: Tensor) -> int:
    """Return how often the values of ``x`` were changed in place."""
    return x._version


def saves_without_hooks() -> bool:
    """Return whether autograd may be told what to save, and no hooks of others decide on it already."""
    hooks: Any = torch._C._autograd
    return hooks._saved_tensors_hooks_is_enabled() and hooks._top_saved_tensors_default_hooks(True) is None


def batch_statistics(normed: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return the mean and one over the deviation, ``[C]``, that a batch norm in training took, where they are known."""
    node: Any = normed.grad_fn
    return (node._saved_result1, node._saved_result2) if hasattr(node, "_saved_result2") else None


def may_call_onednn() -> bool:
    """Return whether code runs as it is written, with oneDNN: nothing traces, compiles, transforms or counts it."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or torch._C._len_torch_dispatch_stack():
        return False
    transformed = torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0
    return not transformed and bool(torch.backends.mkldnn.enabled) and torch.backends.mkldnn.is_available()


def linear_pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return a linear map, in one call of oneDNN: float32 on the CPU, without gradient."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def packed_weight(weight: Tensor, rows: int) -> Tensor:
    """Return a weight in the layout of oneDNN, for :func:`linear_pointwise` with so many rows at a time."""
    return torch.ops.mkldnn._reorder_linear_weight(weight, rows)


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the exact GELU of a linear map, in one call of oneDNN: float32 on the CPU, without gradient."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu", [], "none")


def conv_gelu(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """Return the exact GELU of a convolution, as :func:`linear_gelu`."""
    settings = conv.padding, conv.stride, conv.dilation, conv.groups
    return torch.ops.mkldnn._convolution_pointwise(x, conv.weight, conv.bias, *settings, "gelu", [], "none")


def sparse_extremum(matrix: Tensor, x: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Return what ``torch.sparse.mm(matrix, x, kind)`` does, ``[N, C]``, and which entry of the matrix gave each value.

    Args:
        matrix: In CSR form, on the CPU. What a row without entries gets for one is larger than any.
        x: ``[M, C]``.
        kind: ``"amax"`` or ``"amin"``.
    """
    with torch.enable_grad():  # asks for the entries
        out, entry = torch.ops.aten._sparse_mm_reduce_impl(matrix, x.detach().requires_grad_(), kind)
    return out.detach(), entry
