r"""The maximum of weighted differences, ``out_i = max_s w_is (x_j(i,s) − c_i)``, without a row per edge.

Every target has as many neighbors. Slot by slot, a block of rows that stays in the cache is gathered, subtracted,
scaled and compared.
"""

import torch
from torch import Tensor

# Values of a block of rows: 512 kB in float32.
BLOCK = 1 << 17


def _slot_type(index: Tensor) -> torch.dtype:
    """Return the narrowest type that numbers all slots."""
    return torch.uint8 if index.size(1) <= 256 else torch.int32


def neighbor_weighted_max(x: Tensor, index: Tensor, weight: Tensor, center: Tensor) -> Tensor:
    r"""Return ``max_s w_is (x_j − c_i)`` per channel, with ``j`` the neighbor of target ``i`` in slot ``s``.

    Args:
        x: Source features ``[M, C]``.
        index: The neighbors of every target, ``[N, k]``, values below ``M``.
        weight: Their weights, ``[N, k]``.
        center: What is subtracted from a target's neighbors, ``[N, C]``.

    Shapes:
        - output: ``[N, C]``
    """
    weight = weight.to(x.dtype)
    if torch.compiler.is_exporting():
        return ((x[index] - center.unsqueeze(1)) * weight.unsqueeze(2)).amax(1)
    with_winner = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad or center.requires_grad)
    return torch.ops.vig_pyg.neighbor_weighted_max(x, index, weight, center, with_winner)[0]


@torch.library.custom_op("vig_pyg::neighbor_weighted_max", mutates_args=())
def _weighted_max(x: Tensor, index: Tensor, weight: Tensor, center: Tensor, with_winner: bool) -> tuple[Tensor, Tensor]:
    out = torch.empty_like(center)
    winner = torch.zeros(center.shape if with_winner else 0, dtype=_slot_type(index), device=x.device)
    rows = max(1, BLOCK // x.size(1)) if x.device.type == "cpu" else len(center)
    slots = index.t().contiguous()
    for start in range(0, len(center), rows):
        block = slice(start, start + rows)
        middle, best = center[block], out[block]
        for slot, neighbors in enumerate(slots[:, block]):
            values = x.index_select(0, neighbors).sub_(middle).mul_(weight[block, slot, None])
            if slot == 0:
                best.copy_(values)
                continue
            if with_winner:
                winner[block].masked_fill_(values > best, slot)
            torch.maximum(best, values, out=best)
    return out, winner


@_weighted_max.register_fake
def _(x: Tensor, index: Tensor, weight: Tensor, center: Tensor, with_winner: bool) -> tuple[Tensor, Tensor]:
    winner = center.new_empty(center.shape if with_winner else (0,), dtype=_slot_type(index))
    return torch.empty_like(center), winner


@torch.library.custom_op("vig_pyg::neighbor_weighted_max_backward", mutates_args=())
def _weighted_max_backward(
    grad: Tensor, winner: Tensor, x: Tensor, index: Tensor, weight: Tensor, center: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    slot = winner.long()
    row = index.gather(1, slot)
    of_weight = torch.zeros_like(weight).scatter_add_(1, slot, (x.gather(0, row) - center).mul_(grad))
    scaled = weight.gather(1, slot).mul_(grad)
    return torch.zeros_like(x).scatter_add_(0, row, scaled), of_weight, scaled.neg_()


@_weighted_max_backward.register_fake
def _(
    grad: Tensor, winner: Tensor, x: Tensor, index: Tensor, weight: Tensor, center: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(weight), torch.empty_like(center)


def _save(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, index, weight, center, _ = inputs
    ctx.save_for_backward(output[1], x, index, weight, center)
    ctx.mark_non_differentiable(output[1])


def _gradient(ctx, grad, _):  # type: ignore[no-untyped-def]
    of_x, of_weight, of_center = torch.ops.vig_pyg.neighbor_weighted_max_backward(grad, *ctx.saved_tensors)
    return of_x, None, of_weight, of_center, None


_weighted_max.register_autograd(_gradient, setup_context=_save)
