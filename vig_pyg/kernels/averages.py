"""Means and softmax over neighborhoods. Backends as in :mod:`vig_pyg.kernels.reduce`."""

import torch
from torch import Tensor

from vig_pyg.kernels import segments
from vig_pyg.kernels.backends import Reduction, chosen
from vig_pyg.kernels.reduce import neighbor_max, neighbor_sum, targets_of_edges, wide


def neighbor_mean(
    x: Tensor, ptr: Tensor, index: Tensor, max_degree: int | None = None, *, backend: Reduction = "auto"
) -> Tensor:
    r"""Return ``Σ_{j ∈ N(i)} x_j / |N(i)|`` per channel, as :func:`~vig_pyg.kernels.neighbor_sum` does sums."""
    total = neighbor_sum(wide(x), ptr, index, max_degree, backend=backend)
    return (total / ptr.diff().clamp(min=1).unsqueeze(1)).to(x.dtype)


def neighbor_softmax(values: Tensor, ptr: Tensor, max_degree: int, *, backend: Reduction = "auto") -> Tensor:
    r"""Return ``exp v_e / Σ_{e' into i} exp v_e'`` of the edges ``e`` into every target ``i``, per channel.

    Args:
        values: One row per edge, ``[E, C]``, those into a target together.
        ptr: Where each target's edges start, ``[N + 1]``.
        max_degree: No target has more edges than this.
        backend: See :mod:`vig_pyg.kernels.reduce`.

    Shapes:
        - output: ``[E, C]``
    """
    if torch.compiler.is_exporting() and backend == "auto":
        return _softmax(values, ptr, max_degree, backend)
    return torch.ops.vig_pyg.neighbor_softmax(values, ptr, max_degree, chosen(backend, "softmax", values, max_degree))


def _softmax(values: Tensor, ptr: Tensor, max_degree: int, backend: Reduction) -> Tensor:
    powers, edges = wide(values), torch.arange(len(values), device=values.device)
    target = targets_of_edges(ptr, len(values))
    powers = (powers - neighbor_max(powers.detach(), ptr, edges, max_degree, backend=backend)[target]).exp()
    return (powers / neighbor_sum(powers, ptr, edges, max_degree, backend=backend)[target]).to(values.dtype)


@torch.library.custom_op("vig_pyg::neighbor_softmax", mutates_args=())
def _neighbor_softmax(values: Tensor, ptr: Tensor, max_degree: int, backend: str) -> Tensor:
    if backend == "torch_scatter":
        return segments.softmax(wide(values), ptr).to(values.dtype)
    return _softmax(values, ptr, max_degree, backend)  # type: ignore[arg-type]


@torch.library.custom_op("vig_pyg::neighbor_softmax_backward", mutates_args=())
def _neighbor_softmax_backward(grad: Tensor, out: Tensor, ptr: Tensor, backend: str) -> Tensor:
    out = wide(out)
    weighted = grad * out
    if backend == "torch_scatter":
        total = segments.sum_of_own_list(weighted, ptr)
    else:
        edges = torch.arange(len(out), device=out.device)
        sums = neighbor_sum(weighted, ptr, edges, backend=backend)  # type: ignore[arg-type]
        total = sums[targets_of_edges(ptr, len(out))]
    return weighted.addcmul_(out, total, value=-1).to(grad.dtype)


@_neighbor_softmax.register_fake
def _(values: Tensor, ptr: Tensor, max_degree: int, backend: str) -> Tensor:
    return values.new_empty(values.shape)


@_neighbor_softmax_backward.register_fake
def _(grad: Tensor, out: Tensor, ptr: Tensor, backend: str) -> Tensor:
    return grad.new_empty(grad.shape)


def _save_softmax(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(output, inputs[1])
    ctx.backend = inputs[3]


def _softmax_gradient(ctx, grad):  # type: ignore[no-untyped-def]
    return torch.ops.vig_pyg.neighbor_softmax_backward(grad, *ctx.saved_tensors, ctx.backend), None, None, None


_neighbor_softmax.register_autograd(_softmax_gradient, setup_context=_save_softmax)
