"""Nearest neighbors on CUDA in one pass: scores, positions and selection, no matrix of scores in memory.

A program takes a block of one image's queries and goes through the keys block by block. Of each block it keeps, merged
with what it has, the best. A score and its key travel as one whole number: the score in the upper half, in an order
that whole numbers keep, and the key in the lower, so that the lower index wins a tie. ``TRITON_INTERPRET=1``, set
before the import, runs the same kernel on the CPU.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from vig_pyg.kernels.bias import AxisBias, Bias


@triton.jit
def _pack(score, key):
    bits = score.to(tl.int32, bitcast=True)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (ordered.to(tl.int64) << 32) | (0x7FFFFFFF - key).to(tl.int64)


@triton.jit
def _nearest_kernel(
    queries, keys, bias, columns, out, num_queries, num_keys, channels, k, width, key_height, key_width,
    BIAS: tl.constexpr, LOOP: tl.constexpr, KEEP: tl.constexpr,
    BLOCK_Q: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    image = tl.program_id(1).to(tl.int64)
    row = tl.program_id(0) * BLOCK_Q + tl.arange(0, BLOCK_Q)
    queries += image * num_queries * channels
    keys += image * num_keys * channels
    best = tl.full((BLOCK_Q, KEEP), -0x7FFFFFFFFFFFFFFF, tl.int64)
    for start in range(0, num_keys, KEEP):
        key = start + tl.arange(0, KEEP)
        score = tl.zeros((BLOCK_Q, KEEP), tl.float32)
        if BIAS == "axes":  # before the products: afterwards it would take registers that there are not
            inside = (row[:, None] < num_queries) & (key[None, :] < num_keys)
            down, across = (row // width) * key_height, (row % width) * key_width
            score += tl.load(bias + down[:, None] + (key // key_width)[None, :], mask=inside, other=0.0)
            score += tl.load(columns + across[:, None] + (key % key_width)[None, :], mask=inside, other=0.0)
        for first in range(0, channels, BLOCK_C):
            channel = first + tl.arange(0, BLOCK_C)
            q = tl.load(
                queries + row[:, None] * channels + channel[None, :],
                mask=(row[:, None] < num_queries) & (channel[None, :] < channels), other=0.0,
            )  # fmt: skip
            c = tl.load(
                keys + key[None, :] * channels + channel[:, None],
                mask=(key[None, :] < num_keys) & (channel[:, None] < channels), other=0.0,
            )  # fmt: skip
            score = tl.dot(q.to(tl.float32), c.to(tl.float32), score, input_precision="ieee")
        valid = (row[:, None] < num_queries) & (key[None, :] < num_keys)
        if BIAS == "table":
            score += tl.load(bias + row[:, None] * num_keys + key[None, :], mask=valid, other=0.0)
        if not LOOP:
            valid = valid & (row[:, None] != key[None, :])
        packed = tl.where(valid, _pack(score, key[None, :]), -0x7FFFFFFFFFFFFFFF)
        both = tl.reshape(tl.join(best, packed), (BLOCK_Q, 2 * KEEP))
        best = tl.topk(both, KEEP, dim=1)
    place = tl.arange(0, KEEP)
    found = 0x7FFFFFFF - (best & 0x7FFFFFFF)
    target = out + (image * num_queries + row[:, None]) * k + place[None, :]
    tl.store(target, found, mask=(place[None, :] < k) & (row[:, None] < num_queries))


def launch(k: int, by_axes: bool = False) -> dict[str, int]:
    """Return how the kernel is launched to find ``k`` keys: blocks for which it keeps all values in registers.

    With fewer threads, or more queries at a time, registers spill (``benchmarks/kernels.py``).
    """
    keep = max(32 if by_axes else 16, triton.next_power_of_2(k))
    return {"KEEP": keep, "BLOCK_Q": 32 if keep == 16 else 16, "BLOCK_C": 32, "num_warps": 8}


def nearest_fused(queries: Tensor, keys: Tensor, k: int, *, bias: Bias | None = None, loop: bool = True) -> Tensor:
    r"""Return the ``k`` best keys by :math:`\langle q, k \rangle + b`.

    Computes in float32 without TF32, whatever the type of the points.

    Shapes:
        - queries ``[B, N, C]``, keys ``[B, M, C]``, bias ``[N, M]`` or by axes
        - output: ``[B, N, k]``, best first
    """
    batch, num_queries, channels = queries.shape
    queries, keys = (x.contiguous() if x.dtype.itemsize <= 4 else x.float().contiguous() for x in (queries, keys))
    out = torch.empty(batch, num_queries, k, dtype=torch.long, device=queries.device)
    settings = launch(k, isinstance(bias, AxisBias))
    kind = "none" if bias is None else "axes" if isinstance(bias, AxisBias) else "table"
    tables = bias if isinstance(bias, AxisBias) else AxisBias(*(keys[0] if bias is None else bias,) * 2)
    rows, columns = (table.float().contiguous() for table in tables)
    _nearest_kernel[(triton.cdiv(num_queries, settings["BLOCK_Q"]), batch)](
        queries, keys, rows, columns, out, num_queries, keys.size(1), channels, k,
        columns.size(0), rows.size(1), columns.size(1), BIAS=kind, LOOP=loop, **settings,
    )  # fmt: skip
    return out
