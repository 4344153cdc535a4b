"""Numbers only: neighbour search and neighbour reductions, no modules."""

from vig_pyg.kernels.reduce import neighbour_max, neighbour_min, neighbour_sum
from vig_pyg.kernels.search import nearest_blockwise, nearest_cluster, nearest_dense, nearest_fused

__all__ = [
    "nearest_blockwise",
    "nearest_cluster",
    "nearest_dense",
    "nearest_fused",
    "neighbour_max",
    "neighbour_min",
    "neighbour_sum",
]
