"""Neighborhood reductions on CUDA: one pass over the edges, nothing per edge in memory.

A program reduces one target's list for a block of channels. For the backward pass only the winning slot is kept, one
byte per output. Gradients are added to their sources as they come (atomically, so that float sums differ in the last
bits from run to run), or, under ``torch.use_deterministic_algorithms(True)``, source by source over the edges sorted by
source. Half precision is computed in float32. ``TRITON_INTERPRET=1``, set before the import, runs the same kernels on
the CPU.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _extremum_kernel(
    x, center, ptr, index, out, slots, channels,
    LARGEST: tl.constexpr, RELATIVE: tl.constexpr, WITH_SLOT: tl.constexpr, BLOCK: tl.constexpr,
    WIDE: tl.constexpr,
):  # fmt: skip
    target = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < channels
    start = tl.load(ptr + target)
    degree = (tl.load(ptr + target + 1) - start).to(tl.int32)
    best = tl.full((BLOCK,), float("-inf") if LARGEST else float("inf"), WIDE)
    winner = tl.full((BLOCK,), 255, tl.int32)
    for slot in range(degree):
        source = tl.load(index + start + slot)
        value = tl.load(x + source * channels + column, mask=inside, other=0.0).to(WIDE)
        better = value > best if LARGEST else value < best
        better = better | (value != value) | (winner == 255)  # a NaN wins, and the first of the list always does
        better = better & (best == best)  # nothing beats a NaN
        best = tl.where(better, value, best)
        winner = tl.where(better, slot, winner)
    if RELATIVE:
        best -= tl.load(center + target * channels + column, mask=inside, other=0.0).to(WIDE)
    best = tl.where(degree > 0, best, 0.0)
    tl.store(out + target * channels + column, best.to(out.dtype.element_ty), mask=inside)
    if WITH_SLOT:
        tl.store(slots + target * channels + column, winner.to(tl.uint8), mask=inside)


@triton.jit
def _extremum_backward_kernel(grad, slots, ptr, index, grad_x, channels, BLOCK: tl.constexpr):
    target = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    place = target * channels + column
    slot = tl.load(slots + place, mask=column < channels, other=255).to(tl.int64)
    won = slot != 255
    source = tl.load(index + tl.load(ptr + target) + slot, mask=won, other=0)
    value = tl.load(grad + place, mask=won, other=0.0).to(grad_x.dtype.element_ty)
    tl.atomic_add(grad_x + source * channels + column, value, mask=won)


@triton.jit
def _extremum_backward_by_source_kernel(
    grad, slots, ptr, back, order, target, grad_x, channels, BLOCK: tl.constexpr, WIDE: tl.constexpr
):  # fmt: skip
    source = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < channels
    start = tl.load(back + source)
    total = tl.zeros((BLOCK,), WIDE)
    for step in range((tl.load(back + source + 1) - start).to(tl.int32)):
        edge = tl.load(order + start + step)
        row = tl.load(target + start + step)
        slot = (edge - tl.load(ptr + row)).to(tl.int32)
        won = inside & (tl.load(slots + row * channels + column, mask=inside, other=255).to(tl.int32) == slot)
        total += tl.load(grad + row * channels + column, mask=won, other=0.0).to(WIDE)
    tl.store(grad_x + source * channels + column, total.to(grad_x.dtype.element_ty), mask=inside)


@triton.jit
def _sum_kernel(x, ptr, index, out, channels, BLOCK: tl.constexpr, WIDE: tl.constexpr):
    target = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < channels
    start = tl.load(ptr + target)
    total = tl.zeros((BLOCK,), WIDE)
    for slot in range((tl.load(ptr + target + 1) - start).to(tl.int32)):
        source = tl.load(index + start + slot)
        total += tl.load(x + source * channels + column, mask=inside, other=0.0).to(WIDE)
    tl.store(out + target * channels + column, total.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _sum_backward_kernel(grad, ptr, index, grad_x, channels, BLOCK: tl.constexpr):
    target = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < channels
    start = tl.load(ptr + target)
    value = tl.load(grad + target * channels + column, mask=inside, other=0.0).to(grad_x.dtype.element_ty)
    for slot in range((tl.load(ptr + target + 1) - start).to(tl.int32)):
        source = tl.load(index + start + slot)
        tl.atomic_add(grad_x + source * channels + column, value, mask=inside)


def _grid(num_targets: int, channels: int) -> tuple[tuple[int, int], int]:
    block = min(triton.next_power_of_2(max(channels, 1)), 256)
    return (num_targets, triton.cdiv(channels, block)), block


def _wide(x: Tensor) -> tl.dtype:
    """Return the type that values are computed in."""
    return tl.float64 if x.dtype == torch.float64 else tl.float32


def extremum(
    x: Tensor, center: Tensor | None, ptr: Tensor, index: Tensor, largest: bool, with_slot: bool
) -> tuple[Tensor, Tensor]:
    """Return the extremum of every target's list, less ``center`` where given, and the winning slots (uint8).

    Lists must be shorter than 255.

    Shapes:
        - x ``[M, C]``, center ``[N, C]``, ptr ``[N + 1]``, index ``[E]``; output ``[N, C]`` twice
    """
    num_targets, channels = ptr.numel() - 1, x.size(1)
    x = x.contiguous()
    out = x.new_empty(num_targets, channels)
    slots = x.new_empty((num_targets, channels) if with_slot else (0,), dtype=torch.uint8)
    if out.numel():
        grid, block = _grid(num_targets, channels)
        center_or_x = x if center is None else center.contiguous()
        _extremum_kernel[grid](
            x, center_or_x, ptr, index, out, slots, channels,
            LARGEST=largest, RELATIVE=center is not None, WITH_SLOT=with_slot, BLOCK=block,
            WIDE=_wide(x),
        )  # fmt: skip
    return out, slots


def extremum_backward(
    grad: Tensor, slots: Tensor, ptr: Tensor, index: Tensor, num_sources: int, by_source: bool | None = None
) -> Tensor:
    """Return the gradient of the sources, ``[num_sources, C]``: each output's goes to its winner.

    ``by_source`` says whether to go through the edges sorted by source; None does where algorithms are to be
    deterministic.
    """
    num_targets, channels = grad.shape
    if not grad.numel() or not index.numel():
        return grad.new_zeros(num_sources, channels)
    if not _by_source(by_source):
        grad_x = grad.new_zeros(num_sources, channels, dtype=torch.promote_types(grad.dtype, torch.float32))
        grid, block = _grid(num_targets, channels)
        _extremum_backward_kernel[grid](grad.contiguous(), slots, ptr, index, grad_x, channels, BLOCK=block)
        return grad_x.to(grad.dtype)
    grad_x = grad.new_empty(num_sources, channels)
    grid, block = _grid(num_sources, channels)
    _extremum_backward_by_source_kernel[grid](
        grad.contiguous(), slots, ptr, *sorted_by_source(ptr, index, num_sources), grad_x, channels,
        BLOCK=block, WIDE=_wide(grad),
    )  # fmt: skip
    return grad_x


def neighbor_sum(x: Tensor, ptr: Tensor, index: Tensor) -> Tensor:
    """Return the sum of every target's list, ``[N, C]``."""
    num_targets, channels = ptr.numel() - 1, x.size(1)
    out = x.new_empty(num_targets, channels)
    if out.numel():
        grid, block = _grid(num_targets, channels)
        _sum_kernel[grid](x.contiguous(), ptr, index, out, channels, BLOCK=block, WIDE=_wide(x))
    return out


def neighbor_sum_backward(
    grad: Tensor, ptr: Tensor, index: Tensor, num_sources: int, by_source: bool | None = None
) -> Tensor:
    """Return the gradient of the sources, ``[num_sources, C]``: each gets those of all lists that it is in."""
    num_targets, channels = grad.shape
    if _by_source(by_source):
        back, _, target = sorted_by_source(ptr, index, num_sources)
        return neighbor_sum(grad, back, target)
    grad_x = grad.new_zeros(num_sources, channels, dtype=torch.promote_types(grad.dtype, torch.float32))
    if grad.numel():
        grid, block = _grid(num_targets, channels)
        _sum_backward_kernel[grid](grad.contiguous(), ptr, index, grad_x, channels, BLOCK=block)
    return grad_x.to(grad.dtype)


def sorted_by_source(ptr: Tensor, index: Tensor, num_sources: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return where the edges from each source start, ``[num_sources + 1]``, their numbers and their targets, ``[E]``.

    Edges from a source stay in their order. Nothing waits for the device.
    """
    source, order = index.sort(stable=True)
    back = torch.searchsorted(source, torch.arange(num_sources + 1, device=index.device))
    target = torch.searchsorted(ptr, order, right=True) - 1
    return back, order, target


def _by_source(asked: bool | None) -> bool:
    return torch.are_deterministic_algorithms_enabled() if asked is None else asked
