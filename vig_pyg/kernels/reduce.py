r"""Neighborhood reductions ``out_i = ⊕_{j ∈ N(i)} x_j`` without a tensor that has one row per edge.

A graph comes in compressed form, sorted by target: the neighbors of target ``i`` are
``index[ptr[i] : ptr[i + 1]]``. A target without neighbors gets zeros and passes no gradient, as in PyG.

The backends: ``"native"`` is torch itself, on the CPU a product with a sparse matrix of ones in CSR form, elsewhere
gathering and scattering; ``"triton"`` is our kernels for CUDA; ``"torch_scatter"`` gathers and reduces by segments, on
the CPU and on CUDA (of values that are not finite it takes no extrema: these are native). ``"auto"`` takes what
:func:`~vig_pyg.kernels.backends.choose_reduction` says. Another name, or one that cannot reduce what is given, is
refused by a ``ValueError``, and torch_scatter where it is not installed by a ``ModuleNotFoundError``.
"""

import warnings
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor
from torch.fx.experimental.symbolic_shapes import guard_or_true

from vig_pyg.kernels import segments
from vig_pyg.kernels.backends import Reduction, chosen
from vig_pyg.kernels.packing import numbers_of, pack
from vig_pyg.kernels.torch_internals import sparse_extremum


def neighbor_max(
    x: Tensor,
    ptr: Tensor,
    index: Tensor,
    max_degree: int,
    center: Tensor | None = None,
    *,
    backend: Reduction = "auto",
) -> Tensor:
    r"""Return ``max_{j ∈ N(i)} x_j`` per channel, or ``max_{j ∈ N(i)} (x_j − c_i)`` where ``center`` is given.

    Args:
        x: Source features ``[M, C]``.
        ptr: Where each target's neighbors start, ``[N + 1]``.
        index: The neighbors of all targets in turn, ``[E]``, values below ``M``.
        max_degree: No target has more neighbors than this.
        center: What is subtracted from a target's neighbors, ``[N, C]``.
        backend: See this module.

    Shapes:
        - output: ``[N, C]``
    """
    return _extremum(x, center, ptr, index, max_degree, True, backend)


def neighbor_min(x: Tensor, ptr: Tensor, index: Tensor, max_degree: int, *, backend: Reduction = "auto") -> Tensor:
    r"""Return ``min_{j ∈ N(i)} x_j`` per channel. Arguments and shapes as :func:`neighbor_max`."""
    return _extremum(x, None, ptr, index, max_degree, False, backend)


def neighbor_sum(
    x: Tensor, ptr: Tensor, index: Tensor, max_degree: int | None = None, *, backend: Reduction = "auto"
) -> Tensor:
    r"""Return ``Σ_{j ∈ N(i)} x_j`` per channel. Arguments and shapes as :func:`neighbor_max`."""
    if torch.compiler.is_exporting() and backend == "auto":
        if max_degree is None or may_be_isolated(ptr, index, max_degree):
            return _sum_scatter(x, ptr, index)
        return _rows(x, ptr, index).sum(1)
    return torch.ops.vig_pyg.neighbor_sum(x, ptr, index, chosen(backend, "sum", x))


def may_be_isolated(ptr: Tensor, index: Tensor, max_degree: int) -> bool:
    """Return whether a target may have no neighbors; counts edges, and does not wait for the device.

    An exported program that does not know how many edges there will be is prepared for it.
    """
    return max_degree == 0 or guard_or_true(index.numel() < max_degree * (ptr.numel() - 1))


def _rows(x: Tensor, ptr: Tensor, index: Tensor) -> Tensor:
    """Return the neighbors' features ``[N, k, C]``, for export, where every node has as many."""
    return x[index.view(ptr.size(0) - 1, -1)]


def _extremum(
    x: Tensor,
    center: Tensor | None,
    ptr: Tensor,
    index: Tensor,
    max_degree: int,
    largest: bool,
    backend: Reduction,
) -> Tensor:
    if torch.compiler.is_exporting() and backend == "auto":
        if may_be_isolated(ptr, index, max_degree):
            out = _extremum_scatter(x, ptr, index, largest, False)[0]
            return out if center is None else (out - center) * (ptr.diff() > 0).unsqueeze(1)
        rows = _rows(x, ptr, index)
        out = rows.amax(1) if largest else rows.amin(1)
        return out if center is None else out - center
    with_winner = torch.is_grad_enabled() and x.requires_grad
    backend = chosen(backend, "extremum", x, max_degree)
    return torch.ops.vig_pyg.neighbor_extremum(x, center, ptr, index, max_degree, largest, with_winner, backend)[0]


def _triton() -> ModuleType:
    """Return the kernels for CUDA."""
    return import_module("vig_pyg.kernels.triton.reduce")


def _csr(ptr: Tensor, index: Tensor, x: Tensor) -> Tensor:
    with warnings.catch_warnings():  # torch says once that CSR tensors are in beta
        warnings.simplefilter("ignore", UserWarning)
        ones = x.new_ones(index.numel())
        return torch.sparse_csr_tensor(ptr, index, ones, (ptr.numel() - 1, x.size(0)), check_invariants=False)


def targets_of_edges(ptr: Tensor, num_edges: int) -> Tensor:
    """Return the target of every edge, ``[num_edges]``, from where each target's edges start, ``[N + 1]``."""
    if torch.compiler.is_exporting():  # ONNX has no repeat_interleave of a size that is a value
        starts = ptr.new_zeros(num_edges + 1)
        return starts.scatter_add(0, ptr[1:-1], torch.ones_like(ptr[1:-1]))[:-1].cumsum(0)
    nodes = torch.arange(ptr.numel() - 1, device=ptr.device)
    return nodes.repeat_interleave(ptr.diff(), output_size=num_edges)


# Maximum and minimum ####################################################################################

# Besides the extremum, training needs to know which neighbor won: from our kernels a slot, the winner's place in its
# target's list, one byte; from others the winner's row of ``x``.
NO_ROW = -1


@torch.library.custom_op("vig_pyg::neighbor_extremum", mutates_args=())
def _neighbor_extremum(
    x: Tensor,
    center: Tensor | None,
    ptr: Tensor,
    index: Tensor,
    max_degree: int,
    largest: bool,
    with_winner: bool,
    backend: str,
) -> tuple[Tensor, Tensor]:
    if backend == "triton":
        return _triton().extremum(x, center, ptr, index, largest, with_winner)
    reduce = _extremum_csr if x.device.type == "cpu" else _extremum_scatter
    if backend == "torch_scatter" and _is_finite(x):
        reduce = segments.extremum
    out, winner = reduce(x, ptr, index, largest, with_winner)
    if center is not None:
        out.sub_(center)
    if may_be_isolated(ptr, index, max_degree):
        empty = (ptr.diff() == 0).unsqueeze(1)
        out.masked_fill_(empty, 0)
        winner = winner.masked_fill(empty, NO_ROW) if with_winner else winner
    return out, winner


def _is_finite(x: Tensor) -> bool:
    """Return whether all values are finite; False of values that are large, too: their sum is what is looked at."""
    return bool(x.sum(dtype=torch.promote_types(x.dtype, torch.float32)).isfinite())


def _extremum_csr(x: Tensor, ptr: Tensor, index: Tensor, largest: bool, with_winner: bool) -> tuple[Tensor, Tensor]:
    kind = "amax" if largest else "amin"
    no_winner = torch.empty(0, dtype=torch.int32)
    if index.numel() == 0:
        out = x.new_zeros(ptr.numel() - 1, x.size(1))
        return out, out.int() if with_winner else no_winner
    if not with_winner:
        return torch.sparse.mm(_csr(ptr, index, x), x, kind), no_winner
    if x.dtype != torch.float64 and _is_finite(x):
        # torch finds winners ten times slower than maxima: so pack the rows.
        packed = pack(x, torch.arange(len(x)).unsqueeze(1))
        best = torch.sparse.mm(_csr(ptr, index, packed), packed, kind)
        return best.to(x.dtype), numbers_of(best).int()
    out, winner = sparse_extremum(_csr(ptr, index, x), x, kind)
    winner = torch.where(winner < index.numel(), winner, ptr[:-1].unsqueeze(1))  # a list of infinities: its first
    return out, index[winner.clamp_(max=index.numel() - 1)].int()


def _extremum_scatter(x: Tensor, ptr: Tensor, index: Tensor, largest: bool, with_winner: bool) -> tuple[Tensor, Tensor]:
    num_targets, num_edges = ptr.numel() - 1, index.numel()
    target = targets_of_edges(ptr, num_edges).unsqueeze(1).expand(-1, x.size(1))
    values = x[index]
    out = x.new_zeros(num_targets, x.size(1))
    out.scatter_reduce_(0, target, values, "amax" if largest else "amin", include_self=False)
    if not with_winner:
        return out, x.new_empty(0, dtype=torch.int32)
    won = (values == out.gather(0, target)) | values.isnan()
    row = torch.where(won, index.unsqueeze(1), len(x)).int()
    return out, torch.zeros_like(out, dtype=torch.int32).scatter_reduce_(0, target, row, "amin", include_self=False)


@_neighbor_extremum.register_fake
def _(
    x: Tensor,
    center: Tensor | None,
    ptr: Tensor,
    index: Tensor,
    max_degree: int,
    largest: bool,
    with_winner: bool,
    backend: str,
) -> tuple[Tensor, Tensor]:
    out = x.new_empty(ptr.size(0) - 1, x.size(1))
    slot_or_row = torch.uint8 if backend == "triton" else torch.int32
    winner = out.new_empty(out.shape if with_winner else (0,), dtype=slot_or_row)
    return out, winner


@torch.library.custom_op("vig_pyg::neighbor_extremum_backward", mutates_args=())
def _neighbor_extremum_backward(
    grad: Tensor, winner: Tensor, ptr: Tensor, index: Tensor, num_sources: int, isolated: bool
) -> Tensor:
    if winner.dtype == torch.uint8:
        return _triton().extremum_backward(grad, winner, ptr, index, num_sources)
    row = winner.long()
    if isolated:  # what targets without neighbors got goes nowhere
        grad = grad.masked_fill(row == NO_ROW, 0)
        row.clamp_(min=0)
    return wide(grad.new_zeros(num_sources, grad.size(1))).scatter_add_(0, row, wide(grad)).to(grad.dtype)


@_neighbor_extremum_backward.register_fake
def _(grad: Tensor, winner: Tensor, ptr: Tensor, index: Tensor, num_sources: int, isolated: bool) -> Tensor:
    return grad.new_empty(num_sources, grad.size(1))


def _save_winners(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, center, ptr, index, max_degree, *_ = inputs
    ctx.save_for_backward(output[1], ptr, index)
    ctx.num_sources, ctx.relative = x.size(0), center is not None
    ctx.isolated = may_be_isolated(ptr, index, max_degree)
    ctx.mark_non_differentiable(output[1])


def _extremum_gradient(ctx, grad, _):  # type: ignore[no-untyped-def]
    winner, ptr, index = ctx.saved_tensors
    grad_x = grad_center = None
    if ctx.needs_input_grad[0]:
        grad_x = torch.ops.vig_pyg.neighbor_extremum_backward(grad, winner, ptr, index, ctx.num_sources, ctx.isolated)
    if ctx.relative and ctx.needs_input_grad[1]:
        grad_center = -grad.masked_fill((ptr.diff() == 0).unsqueeze(1), 0) if ctx.isolated else -grad
    return grad_x, grad_center, None, None, None, None, None, None


_neighbor_extremum.register_autograd(_extremum_gradient, setup_context=_save_winners)


@torch.library.custom_op("vig_pyg::neighbor_sum", mutates_args=())
def _neighbor_sum(x: Tensor, ptr: Tensor, index: Tensor, backend: str) -> Tensor:
    if backend != "native":
        return (_triton() if backend == "triton" else segments).neighbor_sum(x, ptr, index)
    if x.device.type == "cpu":
        return _sum_csr(ptr, index, x)
    return _sum_scatter(x, ptr, index)


def _sum_scatter(x: Tensor, ptr: Tensor, index: Tensor) -> Tensor:
    target = targets_of_edges(ptr, index.numel())
    return wide(x.new_zeros(ptr.numel() - 1, x.size(1))).index_add_(0, target, wide(x)[index]).to(x.dtype)


def wide(x: Tensor) -> Tensor:
    """Return float32 for half precision: sums are taken in it."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _sum_csr(ptr: Tensor, index: Tensor, x: Tensor) -> Tensor:
    if index.numel() == 0:
        return x.new_zeros(ptr.numel() - 1, x.size(1))
    return torch.sparse.mm(_csr(ptr, index, wide(x)), wide(x), "sum").to(x.dtype)


@_neighbor_sum.register_fake
def _(x: Tensor, ptr: Tensor, index: Tensor, backend: str) -> Tensor:
    return x.new_empty(ptr.size(0) - 1, x.size(1))


@torch.library.custom_op("vig_pyg::neighbor_sum_backward", mutates_args=())
def _neighbor_sum_backward(grad: Tensor, ptr: Tensor, index: Tensor, num_sources: int, backend: str) -> Tensor:
    if backend != "native":
        library = _triton() if backend == "triton" else segments
        return library.neighbor_sum_backward(grad, ptr, index, num_sources)
    target = targets_of_edges(ptr, index.numel())
    if grad.device.type != "cpu":
        return wide(grad.new_zeros(num_sources, grad.size(1))).index_add_(0, index, wide(grad)[target]).to(grad.dtype)
    back = target.new_zeros(num_sources + 1)  # the edges turned round, sorted by source
    back[1:] = index.bincount(minlength=num_sources).cumsum(0)
    return _sum_csr(back, target[index.argsort()], grad)


@_neighbor_sum_backward.register_fake
def _(grad: Tensor, ptr: Tensor, index: Tensor, num_sources: int, backend: str) -> Tensor:
    return grad.new_empty(num_sources, grad.size(1))


def _save_graph(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, ptr, index, backend = inputs
    ctx.save_for_backward(ptr, index)
    ctx.num_sources, ctx.backend = x.size(0), backend


def _sum_gradient(ctx, grad):  # type: ignore[no-untyped-def]
    grad_x = torch.ops.vig_pyg.neighbor_sum_backward(grad, *ctx.saved_tensors, ctx.num_sources, ctx.backend)
    return grad_x, None, None, None


_neighbor_sum.register_autograd(_sum_gradient, setup_context=_save_graph)
