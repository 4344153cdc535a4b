"""The best scores of every row, in order.

torch selects with scalar code on the CPU, numpy with vector instructions, but only values: so columns are packed into
them. Long rows are selected from in two steps, both of them exact: each of the k best is in one of the k runs of
columns with the largest maxima, so the maxima are selected from first, which takes one pass over the scores, and then
what these runs hold. Of equal scores the higher column wins where they are at least zero, else the lower one. Runs of
consecutive columns keep that, since their maxima follow the same rule.
"""

import numpy as np
import torch
from torch import Tensor

from vig_pyg.kernels.packing import numbers_of, pack

# Scores that are held at once, and that are packed at once: 2 MB and 1 MB, which stay in the cache.
CACHED_SCORES = 1 << 19
PACKED_SCORES = 1 << 17
RUN = 32  # columns: shorter runs take torch longer to find the maxima of, longer ones leave more to select from


def best_columns(scores: Tensor, k: int) -> Tensor:
    """Return the columns of the ``k`` largest entries of every row, largest first: ``[..., M]`` → ``[..., k]``.

    The same as ``scores.topk(k).indices``, ties aside. That is also what is exported, to run without our code.
    """
    if not torch.compiler.is_exporting() and scores.device.type == "cpu" and scores.dtype == torch.float32:
        return torch.ops.vig_pyg.best_columns(scores, k)
    return scores.topk(k).indices


@torch.library.custom_op("vig_pyg::best_columns", mutates_args=())
def _best_columns(scores: Tensor, k: int) -> Tensor:
    flat = scores.reshape(-1, scores.size(-1))
    pieces = flat.split(max(1, CACHED_SCORES // flat.size(1)))
    return torch.cat([best_in_cache(piece, k) for piece in pieces]).view(*scores.shape[:-1], k)


@_best_columns.register_fake
def _(scores: Tensor, k: int) -> Tensor:
    return scores.new_empty(*scores.shape[:-1], k, dtype=torch.long)


def best_in_cache(scores: Tensor, k: int) -> Tensor:
    """Return the same of few rows, float32 on the CPU, ``[N, M]`` → ``[N, k]``, outside of compiled code."""
    best = _best(scores, k)
    if np.isnan(best[:, -1]).any():  # sorted after all numbers
        return scores.topk(k).indices
    return numbers_of(torch.from_numpy(best)).flip(1)


def _best(scores: Tensor, k: int) -> np.ndarray:
    """Return the ``k`` largest of every row with their columns packed into them, the largest last."""
    columns = scores.size(1)
    if 3 * (-(-columns // RUN) + k * RUN) > columns:
        return _largest(scores, torch.arange(columns).unsqueeze(0), k)
    whole, rest = scores.split([columns // RUN * RUN, columns % RUN], 1)
    maxima = whole.unflatten(1, (-1, RUN)).amax(2)
    if rest.size(1):
        maxima = torch.cat([maxima, rest.amax(1, keepdim=True)], 1)
    runs = numbers_of(torch.from_numpy(_best(maxima, k)))
    member = (runs.unsqueeze(2) * RUN + torch.arange(RUN)).flatten(1)
    if not rest.size(1):
        return _largest(scores.gather(1, member), member, k)
    values = scores.gather(1, member.clamp(max=columns - 1))
    beyond = member >= columns  # of equal scores below zero, the lower column wins
    return _largest(values.masked_fill_(beyond, torch.finfo(values.dtype).min), member, k)


def _largest(scores: Tensor, columns: Tensor, k: int) -> np.ndarray:
    """Return the ``k`` largest of every row, packed with their columns ``[N or 1, M]``, the largest last."""
    count, width = scores.shape
    rows = max(1, min(count, PACKED_SCORES // width))
    piece = torch.empty(rows, width, dtype=torch.double)
    best = np.empty((count, k))
    for start in range(0, count, rows):
        some = slice(start, min(start + rows, count))
        of_rows = columns if len(columns) == 1 else columns[some]
        packed = pack(scores[some], of_rows, out=piece[: some.stop - start]).numpy()
        packed.partition(width - k, axis=1)
        best[some] = packed[:, width - k :]
    best.sort(axis=1)
    return best
