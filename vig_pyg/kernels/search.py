"""Nearest neighbors of ``queries`` among ``keys``, for a batch of equally large point sets.

Dense and blockwise search rank by the inner product, largest first. Squared distances are one: since
``‖q − k‖² = ‖q‖² − 2 (⟨q, k⟩ − ‖k‖²/2)`` and ``‖q‖²`` ranks nothing, ``⟨[q, 1], [k, −‖k‖²/2]⟩`` orders keys from
the nearest on, with no square root and no second norm; for keys of one length ``⟨q, k⟩`` already does.
Ties are left to the library below.
"""

from importlib import import_module
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from vig_pyg.kernels.packing import numbers_of, pack

# Scores that the blockwise search holds at once: 2²² of them are 16 MB in float32.
BLOCK_SCORES = 1 << 22
# Scores that are selected from at once: 2¹⁷ of them, packed, are 1 MB and stay in the cache.
CACHED_SCORES = 1 << 17


def nearest_dense(queries: Tensor, keys: Tensor, k: int, *, bias: Tensor | None = None, loop: bool = True) -> Tensor:
    r"""Search with one matrix of all scores :math:`\langle q, k \rangle + b`.

    Args:
        queries: ``[B, N, C]``.
        keys: ``[B, M, C]``.
        k: Keys to find for every query.
        bias: Added to every image's scores, ``[N, M]``; or one per image, ``[B, N, M]``, not if fused.
        loop: Query ``i`` may find key ``i``.

    Shapes:
        - output: ``[B, N, k]``, best first
    """
    keys_t = keys.transpose(1, 2)
    scores = queries @ keys_t if bias is None else torch.baddbmm(bias.expand(queries.size(0), -1, -1), queries, keys_t)
    if not loop:
        scores.diagonal(dim1=1, dim2=2).fill_(torch.finfo(scores.dtype).min)
    return best_columns(scores, k)


def nearest_blockwise(
    queries: Tensor, keys: Tensor, k: int, *, loop: bool = True, block_scores: int = BLOCK_SCORES
) -> Tensor:
    """Search a block of one image's queries at a time, so that at most ``block_scores`` scores exist at once
    (but those of one query at least). Arguments and shapes as :func:`nearest_dense`.
    """
    batch, num_queries, _ = queries.shape
    rows = max(1, min(num_queries, block_scores // keys.size(1)))
    out = torch.empty(batch, num_queries, k, dtype=torch.long, device=queries.device)
    for image in range(batch):
        for start in range(0, num_queries, rows):
            scores = queries[image, start : start + rows] @ keys[image].T
            if not loop:
                row = torch.arange(scores.size(0), device=scores.device)
                scores[row, row + start] = torch.finfo(scores.dtype).min
            out[image, start : start + rows] = best_columns(scores, k)
    return out


def nearest_fused(queries: Tensor, keys: Tensor, k: int, *, bias: Tensor | None = None, loop: bool = True) -> Tensor:
    """Search with one Triton kernel on CUDA, which never writes a matrix of scores. Computes in float32.

    Arguments and shapes as :func:`nearest_dense`.

    Raises:
        ValueError: the points are not on a CUDA device, or triton is not installed.
    """
    if not queries.is_cuda or find_spec("triton") is None:
        raise ValueError(f"backend='fused' needs triton and points on a CUDA device, got {queries.device}: use 'dense'")
    fused = import_module("vig_pyg.kernels.triton.search")
    return fused.nearest_fused(queries, keys, k, bias=bias, loop=loop)


def best_columns(scores: Tensor, k: int) -> Tensor:
    """Return the columns of the ``k`` largest entries of every row, largest first: ``[..., M]`` → ``[..., k]``.

    The same as ``scores.topk(k).indices``, ties aside. That is also what is exported, to run without our code.
    """
    if not torch.compiler.is_exporting() and scores.device.type == "cpu" and scores.dtype == torch.float32:
        return torch.ops.vig_pyg.best_columns(scores, k)
    return scores.topk(k).indices


@torch.library.custom_op("vig_pyg::best_columns", mutates_args=())
def _best_columns(scores: Tensor, k: int) -> Tensor:
    # torch selects with scalar code on the CPU, numpy with vector instructions, but only values: so pack the columns.
    columns = scores.size(-1)
    flat, numbers = scores.reshape(-1, columns), torch.arange(columns)
    best = np.empty((len(flat), k))
    piece = torch.empty(max(1, CACHED_SCORES // columns), columns, dtype=torch.double)
    for start, scores_of_piece in zip(range(0, len(flat), len(piece)), flat.split(len(piece)), strict=True):
        packed = pack(scores_of_piece, numbers, out=piece[: len(scores_of_piece)]).numpy()
        packed.partition(columns - k, axis=1)
        packed[:, columns - k :].sort(axis=1)
        best[start : start + len(packed)] = packed[:, columns - k :]
    if np.isnan(best[:, -1]).any():  # sorted after all numbers
        return scores.topk(k).indices
    return numbers_of(torch.from_numpy(best)).flip(1).view(*scores.shape[:-1], k)


@_best_columns.register_fake
def _(scores: Tensor, k: int) -> Tensor:
    return scores.new_empty(*scores.shape[:-1], k, dtype=torch.long)


def nearest_cluster(queries: Tensor, keys: Tensor, k: int, *, loop: bool = True, num_workers: int = 1) -> Tensor:
    """Search by Euclidean distance with ``torch_cluster.knn``: trees on the CPU, best in few dimensions.

    Arguments and shapes as :func:`nearest_dense`; ``num_workers`` search a single image at once.

    Raises:
        ModuleNotFoundError: torch_cluster is not installed.
    """
    try:
        from torch_cluster import knn
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "backend='torch_cluster' needs the package torch_cluster: pip install --no-build-isolation torch_cluster"
        ) from error
    (batch, num_queries, channels), num_keys, device = queries.shape, keys.size(1), queries.device
    key_batch = torch.arange(batch, device=device).repeat_interleave(num_keys)
    query_batch = torch.arange(batch, device=device).repeat_interleave(num_queries)
    wanted = k if loop else min(k + 1, num_keys)
    flat = keys.reshape(-1, channels), queries.reshape(-1, channels)
    found = knn(*flat, wanted, key_batch, query_batch, num_workers=num_workers, batch_size=batch)[1]
    first_key = torch.arange(0, batch * num_keys, num_keys, device=device).view(-1, 1, 1)
    neighbors = found.view(batch, num_queries, wanted) - first_key
    if loop:
        return neighbors
    # The query itself leaves, wherever it is; where equal points pushed it off the list, the last one does.
    itself = neighbors == torch.arange(num_queries, device=device).view(1, -1, 1)
    order = itself.long().sort(dim=2, stable=True).indices
    return neighbors.gather(2, order[..., :k])
