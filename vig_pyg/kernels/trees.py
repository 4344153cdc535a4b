"""Nearest neighbors by trees on the CPU, best among many points in few dimensions.

Distances are Euclidean, ties left to the libraries. Arguments and shapes are those of
:func:`~vig_pyg.kernels.search.nearest_dense`; ``num_workers`` are threads for one point set.
"""

import torch
from torch import Tensor


def nearest_kdtree(queries: Tensor, keys: Tensor, k: int, *, loop: bool = True, num_workers: int = 1) -> Tensor:
    """Search with ``scipy.spatial.cKDTree``, in float64.

    Raises:
        ValueError: the points are not on the CPU.
        ModuleNotFoundError: scipy is not installed.
    """
    if keys.device.type != "cpu":
        raise ValueError(f"backend='kdtree' needs points on the CPU, got {keys.device}: use 'dense' or 'blockwise'")
    try:
        from scipy.spatial import cKDTree
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("backend='kdtree' needs the package scipy: pip install scipy") from error
    wanted = _wanted(k, keys.size(1), loop)
    found = [
        cKDTree(offered.numpy()).query(own.numpy(), wanted, workers=num_workers)[1]
        for own, offered in zip(queries, keys, strict=True)
    ]
    if not found:
        return torch.empty(0, queries.size(1), k, dtype=torch.long)
    neighbors = torch.stack([torch.from_numpy(each) for each in found]).view(len(queries), -1, wanted)
    return _others(neighbors, k, loop)


def nearest_cluster(queries: Tensor, keys: Tensor, k: int, *, loop: bool = True, num_workers: int = 1) -> Tensor:
    """Search with ``torch_cluster.knn``, in the type of the points: trees on the CPU, all distances on CUDA.

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
    wanted = _wanted(k, num_keys, loop)
    flat = keys.reshape(-1, channels), queries.reshape(-1, channels)
    found = knn(*flat, wanted, key_batch, query_batch, num_workers=num_workers, batch_size=batch)[1]
    first_key = torch.arange(0, batch * num_keys, num_keys, device=device).view(-1, 1, 1)
    return _others(found.view(batch, num_queries, wanted) - first_key, k, loop)


def _wanted(k: int, num_keys: int, loop: bool) -> int:
    """Return how many neighbors to ask for, the query perhaps among them."""
    return k if loop else min(k + 1, num_keys)


def _others(neighbors: Tensor, k: int, loop: bool) -> Tensor:
    """Return ``k`` of the neighbors, without the query itself unless it may be one."""
    if loop:
        return neighbors
    # The query itself leaves, wherever it is; where equal points pushed it off the list, the last one does.
    itself = neighbors == torch.arange(neighbors.size(1), device=neighbors.device).view(1, -1, 1)
    order = itself.long().sort(dim=2, stable=True).indices
    return neighbors.gather(2, order[..., :k])
