"""Numbers only: neighbor search and neighbor reductions, no modules."""

from vig_pyg.kernels.averages import neighbor_mean, neighbor_softmax
from vig_pyg.kernels.backends import choose_reduction
from vig_pyg.kernels.reduce import neighbor_max, neighbor_min, neighbor_sum
from vig_pyg.kernels.search import nearest_blockwise, nearest_dense, nearest_fused
from vig_pyg.kernels.shifts import shifted_distances
from vig_pyg.kernels.trees import nearest_cluster, nearest_kdtree
from vig_pyg.kernels.weighted import neighbor_weighted_max

__all__ = [
    "choose_reduction",
    "nearest_blockwise",
    "nearest_cluster",
    "nearest_dense",
    "nearest_fused",
    "nearest_kdtree",
    "neighbor_max",
    "neighbor_mean",
    "neighbor_min",
    "neighbor_softmax",
    "neighbor_sum",
    "neighbor_weighted_max",
    "shifted_distances",
]
