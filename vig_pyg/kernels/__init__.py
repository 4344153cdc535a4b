"""Numbers only: neighbour search and neighbour reductions, no modules."""

from vig_pyg.kernels.reduce import neighbour_max, neighbour_min, neighbour_sum
from vig_pyg.kernels.search import nearest_blockwise, nearest_cluster, nearest_dense

__all__ = [
    "nearest_blockwise",
    "nearest_cluster",
    "nearest_dense",
    "neighbour_max",
    "neighbour_min",
    "neighbour_sum",
]
