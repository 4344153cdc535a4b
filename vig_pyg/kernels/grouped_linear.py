"""Linear maps whose channels are split into heads, as batched products that write where the result belongs.

Heads are strided views of a node matrix, ``[heads, N, c]``. Matrix products read and write them in place, so that
neither features nor results are ever laid out head by head.
"""

import torch
from torch import Tensor
from torch.autograd import Function

from vig_pyg.kernels.linear import is_autocasting, linear, takes_onednn


def grouped_linear(x: Tensor, weight: Tensor, bias: Tensor | None, heads: int) -> Tensor:
    r"""Return :math:`[x^1 W^1, x^2 W^2, \dots, x^h W^h] + b`, the same as a 1×1 convolution in ``heads`` groups.

    Args:
        x: Nodes ``[N, heads · c]``.
        weight: Of all heads in turn, ``[out, c]``.
        bias: ``[out]``.
        heads: Number of heads ``h``.

    Shapes:
        - output: ``[N, out]``
    """
    if heads == 1:
        return linear(x, weight, bias)
    return _grouped_products(bias, x, weight.unflatten(0, (heads, -1)).transpose(1, 2))


def paired_grouped_linear(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor | None, heads: int) -> Tensor:
    """Return :func:`grouped_linear` of the interleaved channels ``(x⁰, y⁰, x¹, y¹, …)``, which are never laid out.

    Shapes:
        - x, y ``[N, C]``, weight ``[out, 2 C / heads]``, output ``[N, out]``
    """
    if heads == 1 and takes_onednn(x, weight):
        of_x, of_y = weight[:, ::2], weight[:, 1::2]
        return linear(x, of_x.contiguous(), bias) + linear(y, of_y.contiguous())
    of_x, of_y = (part.unflatten(0, (heads, -1)).transpose(1, 2) for part in weight.unflatten(1, (-1, 2)).unbind(2))
    return _grouped_products(bias, x, of_x, y, of_y)


def _grouped_products(bias: Tensor | None, *pairs: Tensor) -> Tensor:
    """Return ``Σ x W + b`` over pairs of ``x [N, heads · c]`` and ``W [heads, c, o]``, as ``[N, heads · o]``."""
    device = pairs[0].device.type
    if is_autocasting(device):
        dtype = torch.get_autocast_dtype(device)
        bias, pairs = bias if bias is None else bias.to(dtype), tuple(part.to(dtype) for part in pairs)
    if not torch.compiler.is_compiling():
        return _GroupedProducts.apply(bias, *pairs)
    terms = [torch.bmm(_split(x, len(weight)), weight) for x, weight in zip(pairs[::2], pairs[1::2], strict=True)]
    out = sum(terms[1:], terms[0]).transpose(0, 1).flatten(1)
    return out if bias is None else out + bias


def _split(x: Tensor, heads: int) -> Tensor:
    """Return the heads of ``x [N, heads · c]`` as a view ``[heads, N, c]``."""
    return x.unflatten(1, (heads, -1)).transpose(0, 1)


class _GroupedProducts(Function):
    @staticmethod
    def forward(bias: Tensor | None, *pairs: Tensor) -> Tensor:
        heads, _, width = pairs[1].shape
        out = pairs[0].new_empty(len(pairs[0]), heads * width)
        heads_of_out = _split(out, heads)
        total = None if bias is None else bias.view(heads, 1, width)
        for x, weight in zip(pairs[::2], pairs[1::2], strict=True):
            if total is None:
                torch.bmm(_split(x, heads), weight, out=heads_of_out)
            else:
                torch.baddbmm(total, _split(x, heads), weight, out=heads_of_out)
            total = heads_of_out
        return out

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        grads = [grad.sum(0) if ctx.needs_input_grad[0] else None]
        saved = ctx.saved_tensors
        for place, (x, weight) in enumerate(zip(saved[::2], saved[1::2], strict=True)):
            wanted = ctx.needs_input_grad[2 * place + 1 : 2 * place + 3]
            grads.append(_grouped_products(None, grad, weight.transpose(1, 2)) if wanted[0] else None)
            grads.append(_split(x, len(weight)).transpose(1, 2) @ _split(grad, len(weight)) if wanted[1] else None)
        return tuple(grads)
