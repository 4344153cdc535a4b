"""Nearest neighbors of ``queries`` among ``keys``, for a batch of equally large point sets.

Dense and blockwise search rank by the inner product, largest first. Squared distances are one: since
``‖q − k‖² = ‖q‖² − 2 (⟨q, k⟩ − ‖k‖²/2)`` and ``‖q‖²`` ranks nothing, ``⟨[q, 1], [k, −‖k‖²/2]⟩`` orders keys from
the nearest on, with no square root and no second norm; for keys of one length ``⟨q, k⟩`` already does.
Ties are left to the library below.
"""

from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor

from vig_pyg.kernels.bias import AxisBias, Bias, add_bias
from vig_pyg.kernels.linear import takes_onednn
from vig_pyg.kernels.selection import CACHED_SCORES, best_columns, best_in_cache
from vig_pyg.kernels.torch_internals import linear_pointwise, packed_weight

# Scores that the blockwise search holds at once: 2²² of them are 16 MB in float32.
BLOCK_SCORES = 1 << 22


def nearest_dense(queries: Tensor, keys: Tensor, k: int, *, bias: Bias | None = None, loop: bool = True) -> Tensor:
    r"""Search with one matrix of all scores :math:`\langle q, k \rangle + b`.

    Args:
        queries: ``[B, N, C]``.
        keys: ``[B, M, C]``.
        k: Keys to find for every query.
        bias: Added to every image's scores, ``[N, M]``; or one per image, ``[B, N, M]``, not if fused; or by axes.
        loop: Query ``i`` may find key ``i``.

    Shapes:
        - output: ``[B, N, k]``, best first
    """
    keys_t = keys.transpose(1, 2)
    if isinstance(bias, Tensor):
        scores = torch.baddbmm(bias.expand(queries.size(0), -1, -1), queries, keys_t)
    else:
        scores = queries @ keys_t
    if isinstance(bias, AxisBias):
        bias.add_to(scores)
    if not loop:
        scores.diagonal(dim1=1, dim2=2).fill_(torch.finfo(scores.dtype).min)
    return best_columns(scores, k)


def nearest_blockwise(
    queries: Tensor,
    keys: Tensor,
    k: int,
    *,
    bias: Bias | None = None,
    loop: bool = True,
    block_scores: int | None = None,
) -> Tensor:
    """Search a block of one image's queries at a time, so that at most ``block_scores`` scores exist at once
    (but those of one query at least). Arguments and shapes as :func:`nearest_dense`.

    Float32 on the CPU is multiplied by oneDNN, in blocks that stay in the cache until they are selected from.
    """
    batch, num_queries, _ = queries.shape
    queries, keys = queries.contiguous(), keys.contiguous()
    in_cache = batch > 0 and takes_onednn(queries[0], keys[0])
    held = block_scores or (CACHED_SCORES if in_cache else BLOCK_SCORES)
    rows = max(1, min(num_queries, held // keys.size(1)))
    out = torch.empty(batch, num_queries, k, dtype=torch.long, device=queries.device)
    for image, offered in enumerate(keys):
        weight = packed_weight(offered, rows) if in_cache and rows < num_queries else offered
        for start in range(0, num_queries, rows):
            block = queries[image, start : start + rows]
            scores = linear_pointwise(block, weight, None) if in_cache else block @ offered.T
            add_bias(scores, bias, image, start)
            if not loop:
                row = torch.arange(len(block), device=block.device)
                scores[row, row + start] = torch.finfo(scores.dtype).min
            out[image, start : start + rows] = best_in_cache(scores, k) if in_cache else best_columns(scores, k)
    return out


def nearest_fused(queries: Tensor, keys: Tensor, k: int, *, bias: Bias | None = None, loop: bool = True) -> Tensor:
    """Search with one Triton kernel on CUDA, which never writes a matrix of scores. Computes in float32.

    Arguments and shapes as :func:`nearest_dense`.

    Raises:
        ValueError: the points are not on a CUDA device, or triton is not installed.
    """
    if not queries.is_cuda or find_spec("triton") is None:
        raise ValueError(f"backend='fused' needs triton and points on a CUDA device, got {queries.device}: use 'dense'")
    fused = import_module("vig_pyg.kernels.triton.search")
    return fused.nearest_fused(queries, keys, k, bias=bias, loop=loop)
