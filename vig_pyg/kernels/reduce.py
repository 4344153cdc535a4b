r"""Neighbourhood reductions ``out_i = ⊕_{j ∈ N(i)} x_j`` without a tensor that has one row per edge.

A graph comes in compressed form, sorted by target: the neighbours of target ``i`` are
``index[ptr[i] : ptr[i + 1]]``. On the CPU the reduction is a product with a sparse matrix of ones in CSR form, on CUDA
a Triton kernel; elsewhere it gathers and scatters. A target without neighbours gets zeros and passes no gradient, as
in PyG.
"""

import functools
import warnings
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch
from torch import Tensor

# A slot is a neighbour's place in its target's list. One byte holds lists of up to 254; 255 says "no neighbour".
BYTE_DEGREE = 254


def neighbour_max(x: Tensor, ptr: Tensor, index: Tensor, max_degree: int, centre: Tensor | None = None) -> Tensor:
    r"""Return ``max_{j ∈ N(i)} x_j`` per channel, or ``max_{j ∈ N(i)} (x_j − c_i)`` where ``centre`` is given.

    Args:
        x: Source features ``[M, C]``.
        ptr: Where each target's neighbours start, ``[N + 1]``.
        index: The neighbours of all targets in turn, ``[E]``, values below ``M``.
        max_degree: No target has more neighbours than this.
        centre: What is subtracted from a target's neighbours, ``[N, C]``.

    Shapes:
        - output: ``[N, C]``
    """
    return _extremum(x, centre, ptr, index, max_degree, True)


def neighbour_min(x: Tensor, ptr: Tensor, index: Tensor, max_degree: int) -> Tensor:
    r"""Return ``min_{j ∈ N(i)} x_j`` per channel. Arguments and shapes as :func:`neighbour_max`."""
    return _extremum(x, None, ptr, index, max_degree, False)


def neighbour_sum(x: Tensor, ptr: Tensor, index: Tensor) -> Tensor:
    r"""Return ``Σ_{j ∈ N(i)} x_j`` per channel. Arguments and shapes as :func:`neighbour_max`."""
    return torch.ops.vig_pyg.neighbour_sum(x, ptr, index)


def _extremum(x: Tensor, centre: Tensor | None, ptr: Tensor, index: Tensor, max_degree: int, largest: bool) -> Tensor:
    with_slot = torch.is_grad_enabled() and (x.requires_grad or (centre is not None and centre.requires_grad))
    return torch.ops.vig_pyg.neighbour_extremum(x, centre, ptr, index, max_degree, largest, with_slot)[0]


@functools.cache
def _triton() -> ModuleType | None:
    """Return the kernels for CUDA, where triton is installed."""
    return import_module("vig_pyg.kernels.triton_reduce") if find_spec("triton") else None


def _csr(ptr: Tensor, index: Tensor, x: Tensor) -> Tensor:
    with warnings.catch_warnings():  # torch says once that CSR tensors are in beta
        warnings.simplefilter("ignore", UserWarning)
        ones = x.new_ones(index.numel())
        return torch.sparse_csr_tensor(ptr, index, ones, (ptr.numel() - 1, x.size(0)), check_invariants=False)


def _targets(ptr: Tensor, num_edges: int) -> Tensor:
    nodes = torch.arange(ptr.numel() - 1, device=ptr.device)
    return nodes.repeat_interleave(ptr.diff(), output_size=num_edges)


# Maximum and minimum ####################################################################################


@torch.library.custom_op("vig_pyg::neighbour_extremum", mutates_args=())
def _neighbour_extremum(
    x: Tensor,
    centre: Tensor | None,
    ptr: Tensor,
    index: Tensor,
    max_degree: int,
    largest: bool,
    with_slot: bool,
) -> tuple[Tensor, Tensor]:
    if x.is_cuda and max_degree <= BYTE_DEGREE and (kernels := _triton()) is not None:
        return kernels.extremum(x, centre, ptr, index, largest, with_slot)
    reduce = _extremum_csr if x.device.type == "cpu" else _extremum_scatter
    out, winner = reduce(x, ptr, index, largest, with_slot)
    empty = (ptr.diff() == 0).unsqueeze(1)
    if centre is not None:
        out.sub_(centre).masked_fill_(empty, 0)
    if not with_slot:
        return out, x.new_empty(0, dtype=_slot_dtype(max_degree))
    slot = winner.sub_(ptr[:-1].unsqueeze(1)).masked_fill_(empty, _no_slot(_slot_dtype(max_degree)))
    return out, slot.to(_slot_dtype(max_degree))


def _no_slot(dtype: torch.dtype) -> int:
    return BYTE_DEGREE + 1 if dtype == torch.uint8 else -1


def _slot_dtype(max_degree: int) -> torch.dtype:
    return torch.uint8 if max_degree <= BYTE_DEGREE else torch.long


def _extremum_csr(x: Tensor, ptr: Tensor, index: Tensor, largest: bool, with_winner: bool) -> tuple[Tensor, Tensor]:
    if index.numel() == 0:
        out = x.new_zeros(ptr.numel() - 1, x.size(1))
        return out, torch.zeros_like(out, dtype=torch.long)
    with torch.set_grad_enabled(with_winner):  # torch computes the winners only where a gradient is wanted
        out, winner = torch.ops.aten._sparse_mm_reduce_impl(
            _csr(ptr, index, x), x.detach().requires_grad_(with_winner), "amax" if largest else "amin"
        )
    return out.detach(), winner


def _extremum_scatter(x: Tensor, ptr: Tensor, index: Tensor, largest: bool, with_winner: bool) -> tuple[Tensor, Tensor]:
    num_targets, num_edges = ptr.numel() - 1, index.numel()
    target = _targets(ptr, num_edges).unsqueeze(1).expand(-1, x.size(1))
    values = x[index]
    out = x.new_zeros(num_targets, x.size(1))
    out.scatter_reduce_(0, target, values, "amax" if largest else "amin", include_self=False)
    if not with_winner:
        return out, x.new_empty(0, dtype=torch.long)
    edge = torch.arange(num_edges, device=x.device).unsqueeze(1).expand_as(values)
    won = (values == out.gather(0, target)) | values.isnan()
    edge = torch.where(won, edge, num_edges)
    winner = torch.full_like(out, num_edges, dtype=torch.long).scatter_reduce_(0, target, edge, "amin")
    return out, winner


@_neighbour_extremum.register_fake
def _(
    x: Tensor,
    centre: Tensor | None,
    ptr: Tensor,
    index: Tensor,
    max_degree: int,
    largest: bool,
    with_slot: bool,
) -> tuple[Tensor, Tensor]:
    out = x.new_empty(ptr.size(0) - 1, x.size(1))
    return out, out.new_empty(out.shape if with_slot else (0,), dtype=_slot_dtype(max_degree))


@torch.library.custom_op("vig_pyg::neighbour_extremum_backward", mutates_args=())
def _neighbour_extremum_backward(grad: Tensor, slot: Tensor, ptr: Tensor, index: Tensor, num_sources: int) -> Tensor:
    if grad.is_cuda and slot.dtype == torch.uint8 and (kernels := _triton()) is not None:
        return kernels.extremum_backward(grad, slot, ptr, index, num_sources)
    nothing = slot == _no_slot(slot.dtype)
    edge = slot.long().add_(ptr[:-1].unsqueeze(1)).masked_fill_(nothing, 0)
    grad_x = grad.new_zeros(num_sources, grad.size(1))
    if index.numel() == 0:
        return grad_x
    return grad_x.scatter_add_(0, index[edge], grad.masked_fill(nothing, 0))


@_neighbour_extremum_backward.register_fake
def _(grad: Tensor, slot: Tensor, ptr: Tensor, index: Tensor, num_sources: int) -> Tensor:
    return grad.new_empty(num_sources, grad.size(1))


def _save_slots(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, centre, ptr, index, *_ = inputs
    ctx.save_for_backward(output[1], ptr, index)
    ctx.num_sources, ctx.relative = x.size(0), centre is not None
    ctx.mark_non_differentiable(output[1])


def _extremum_gradient(ctx, grad, _):  # type: ignore[no-untyped-def]
    slot, ptr, index = ctx.saved_tensors
    grad_x = grad_centre = None
    if ctx.needs_input_grad[0]:
        grad_x = torch.ops.vig_pyg.neighbour_extremum_backward(grad, slot, ptr, index, ctx.num_sources)
    if ctx.relative and ctx.needs_input_grad[1]:
        grad_centre = -grad.masked_fill((ptr.diff() == 0).unsqueeze(1), 0)
    return grad_x, grad_centre, None, None, None, None, None


_neighbour_extremum.register_autograd(_extremum_gradient, setup_context=_save_slots)


# Sum ####################################################################################################


@torch.library.custom_op("vig_pyg::neighbour_sum", mutates_args=())
def _neighbour_sum(x: Tensor, ptr: Tensor, index: Tensor) -> Tensor:
    if x.is_cuda and (kernels := _triton()) is not None:
        return kernels.neighbour_sum(x, ptr, index)
    if x.device.type == "cpu":
        return _csr(ptr, index, x) @ x
    return x.new_zeros(ptr.numel() - 1, x.size(1)).index_add_(0, _targets(ptr, index.numel()), x[index])


@_neighbour_sum.register_fake
def _(x: Tensor, ptr: Tensor, index: Tensor) -> Tensor:
    return x.new_empty(ptr.size(0) - 1, x.size(1))


@torch.library.custom_op("vig_pyg::neighbour_sum_backward", mutates_args=())
def _neighbour_sum_backward(grad: Tensor, ptr: Tensor, index: Tensor, num_sources: int) -> Tensor:
    if grad.is_cuda and (kernels := _triton()) is not None:
        return kernels.neighbour_sum_backward(grad, ptr, index, num_sources)
    grad_x = grad.new_zeros(num_sources, grad.size(1))
    return grad_x.index_add_(0, index, grad[_targets(ptr, index.numel())])


@_neighbour_sum_backward.register_fake
def _(grad: Tensor, ptr: Tensor, index: Tensor, num_sources: int) -> Tensor:
    return grad.new_empty(num_sources, grad.size(1))


def _save_graph(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, ptr, index = inputs
    ctx.save_for_backward(ptr, index)
    ctx.num_sources = x.size(0)


def _sum_gradient(ctx, grad):  # type: ignore[no-untyped-def]
    return torch.ops.vig_pyg.neighbour_sum_backward(grad, *ctx.saved_tensors, ctx.num_sources), None, None


_neighbour_sum.register_autograd(_sum_gradient, setup_context=_save_graph)
