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

# Scores that are held at once, and that are packed at once: 4 MB and 1 MB, which stay in the cache.
CACHED_SCORES = 1 << 20
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
    packed, columns = _best(scores, k)
    if packed[:, -1].isnan().any():  # sorted after all numbers
        return scores.topk(k).indices
    return columns.flip(1)


def _best(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the ``k`` largest of every row, packed with something, and their columns, the largest last."""
    columns = scores.size(1)
    if 3 * (-(-columns // RUN) + k * RUN) > columns:
        packed = _largest(scores, k)
        return packed, numbers_of(packed)
    whole, rest = scores.split([columns // RUN * RUN, columns % RUN], 1)
    maxima = whole.unflatten(1, (-1, RUN)).amax(2)
    if rest.size(1):
        maxima = torch.cat([maxima, rest.amax(1, keepdim=True)], 1)
    runs = _best(maxima, k)[1].sort(1).values  # so that places among their members rise with the columns
    packed = _largest(_members(scores, runs), k)
    place = numbers_of(packed)
    run = runs.gather(1, place.div(RUN, rounding_mode="floor"))
    return packed, run * RUN + place % RUN


def _members(scores: Tensor, runs: Tensor) -> Tensor:
    """Return what some runs of every row hold, ``[N, k·RUN]``."""
    rows, columns = scores.shape
    if columns % RUN == 0:
        first = torch.arange(rows).unsqueeze(1) * (columns // RUN)
        return scores.reshape(-1, RUN).index_select(0, (runs + first).flatten()).view(rows, -1)
    column = (runs.unsqueeze(2) * RUN + torch.arange(RUN)).flatten(1)
    values = scores.gather(1, column.clamp(max=columns - 1))
    # Beyond the last column is nothing: of equal scores below zero, the lower column wins.
    return values.masked_fill_(column >= columns, torch.finfo(values.dtype).min)


def _largest(scores: Tensor, k: int) -> Tensor:
    """Return the ``k`` largest of every row, packed with their columns, the largest last."""
    count, columns = scores.shape
    numbers = torch.arange(columns)
    best = np.empty((count, k))
    piece = torch.empty(max(1, min(count, PACKED_SCORES // columns)), columns, dtype=torch.double)
    for start in range(0, count, len(piece)):
        some = scores[start : start + len(piece)]
        packed = pack(some, numbers, out=piece[: len(some)]).numpy()
        packed.partition(columns - k, axis=1)
        best[start : start + len(some)] = packed[:, columns - k :]
    best.sort(axis=1)
    return torch.from_numpy(best)
