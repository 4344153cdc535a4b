"""Comparisons of models, operators and graphs, and pictures of them."""

from vig_pyg.study.comparison import compare
from vig_pyg.study.cost import count_macs, count_parameters, milliseconds_per_image, peak_megabytes
from vig_pyg.study.diversity import diversity, layer_diversity
from vig_pyg.study.views import draw_neighbors, neighbors

__all__ = [
    "compare",
    "count_macs",
    "count_parameters",
    "diversity",
    "draw_neighbors",
    "layer_diversity",
    "milliseconds_per_image",
    "neighbors",
    "peak_megabytes",
]
