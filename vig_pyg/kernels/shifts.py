r"""Distances between every node of a grid and those some rows or columns away, ``d_ps = ‖x_p − x_(p−s)‖₁``.

A grid wraps around its border. Image by image and shift by shift, the map that is subtracted stays in the cache, and
nothing that has a row per edge is kept for the backward pass, which subtracts again.
"""

import torch
from torch import Tensor


def shifted_distances(maps: Tensor, rows: list[int], columns: list[int]) -> Tensor:
    """Return the L1 distance of every node from the node ``rows[s]`` above it, then ``columns[s]`` left of it.

    Shapes:
        - maps: ``[B, H, W, C]``
        - output: ``[B, H, W, len(rows) + len(columns)]``
    """
    if torch.compiler.is_compiling():
        apart = [(maps - maps.roll(by, axis)).abs().sum(3) for by, axis in _moves(rows, columns)]
        return torch.stack(apart, 3) if apart else maps[..., :0]
    return torch.ops.vig_pyg.shifted_distances(maps, rows, columns)


def _moves(rows: list[int], columns: list[int]) -> list[tuple[int, int]]:
    """Return shifts and the axes of maps that they move along."""
    return [(by, -3) for by in rows] + [(by, -2) for by in columns]


def _parts(maps: Tensor) -> tuple[Tensor, ...]:
    """Return the images on the CPU, where each fits the cache, all of them elsewhere."""
    return maps.unbind() if maps.device.type == "cpu" else (maps,)


@torch.library.custom_op("vig_pyg::shifted_distances", mutates_args=())
def _distances(maps: Tensor, rows: list[int], columns: list[int]) -> Tensor:
    moves = _moves(rows, columns)
    out = maps.new_empty(*maps.shape[:3], len(moves))
    for image, found in zip(_parts(maps), _parts(out), strict=True):
        known: dict[tuple[int, int], Tensor] = {}
        for slot, (by, axis) in enumerate(moves):
            if by == 0:
                found[..., slot] = 0
                continue
            back = known.get((-by % image.size(axis), axis))  # the same pairs, seen from the other end
            apart = image.roll(by, axis).sub_(image).abs_().sum(-1) if back is None else back.roll(by, axis + 1)
            known[by, axis] = apart
            found[..., slot] = apart
    return out


@_distances.register_fake
def _(maps: Tensor, rows: list[int], columns: list[int]) -> Tensor:
    return maps.new_empty(*maps.shape[:3], len(rows) + len(columns))


@torch.library.custom_op("vig_pyg::shifted_distances_backward", mutates_args=())
def _backward(grad: Tensor, maps: Tensor, rows: list[int], columns: list[int]) -> Tensor:
    out = torch.zeros_like(maps)
    for image, given, gradient in zip(_parts(maps), _parts(grad), _parts(out), strict=True):
        for slot, (by, axis) in enumerate(_moves(rows, columns)):
            if by == 0:
                continue
            sign = image.roll(by, axis).sub_(image).sign_().mul_(given[..., slot, None])
            gradient.sub_(sign).add_(sign.roll(-by, axis))
    return out


@_backward.register_fake
def _(grad: Tensor, maps: Tensor, rows: list[int], columns: list[int]) -> Tensor:
    return torch.empty_like(maps)


def _save(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    maps, ctx.rows, ctx.columns = inputs
    ctx.save_for_backward(maps)


def _gradient(ctx, grad):  # type: ignore[no-untyped-def]
    return torch.ops.vig_pyg.shifted_distances_backward(grad, *ctx.saved_tensors, ctx.rows, ctx.columns), None, None


_distances.register_autograd(_gradient, setup_context=_save)
