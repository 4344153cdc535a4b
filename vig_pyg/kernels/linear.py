r"""Linear maps ``x Wᵀ + b``, by oneDNN where nodes are float32 on the CPU.

torch calls MKL for them, which takes only part of what some processors can do: on AMD's with AVX-512 oneDNN is more
than twice as fast, in both directions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from vig_pyg.kernels.torch_internals import linear_pointwise, may_call_onednn

# Multiplications from which on a call of oneDNN pays.
LARGE = 1 << 19


def is_autocasting(device_type: str) -> bool:
    """Return whether autocast chooses the precision on a kind of device."""
    return device_type != "meta" and torch.is_autocast_enabled(device_type)


def takes_onednn(x: Tensor, weight: Tensor) -> bool:
    """Return whether to call oneDNN directly; a compiler chooses products by itself."""
    if x.device.type != "cpu" or not x.dtype == weight.dtype == torch.float32 or x.dim() != 2:
        return False
    plain = type(x) is Tensor and type(weight) in (Tensor, nn.Parameter)
    return plain and x.numel() * weight.size(0) >= LARGE and not is_autocasting("cpu") and may_call_onednn()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x weightᵀ + bias``.

    Shapes:
        - x ``[N, C]``, weight ``[out, C]``, bias ``[out]``, output ``[N, out]``
    """
    return _OneDNNLinear.apply(x, weight, bias) if takes_onednn(x, weight) else F.linear(x, weight, bias)


class _OneDNNLinear(Function):
    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return linear_pointwise(_rows(x), weight, bias)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        grad_x = linear(grad, weight.t()) if wanted[0] else None
        grad_weight = _product(grad, x) if wanted[1] else None
        return grad_x, grad_weight, grad.sum(0) if wanted[2] else None


def _product(grad: Tensor, x: Tensor) -> Tensor:
    """Return ``gradᵀ x``, with the narrower of both for the rows, which oneDNN takes better."""
    return linear(grad.t(), x.t()) if grad.size(1) <= x.size(1) else linear(x.t(), grad.t()).t()


def _rows(x: Tensor) -> Tensor:
    """Return a matrix with no gaps, as it is or turned: those with gaps take oneDNN a thousand times as long."""
    return x if x.is_contiguous() or x.t().is_contiguous() else x.contiguous()
