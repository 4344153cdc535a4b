"""Comparisons of operators, and pictures of graphs."""

from vig_pyg.study.cost import count_macs, count_parameters, milliseconds_per_image
from vig_pyg.study.pictures import draw_neighbours
from vig_pyg.study.views import neighbours

__all__ = ["count_macs", "count_parameters", "draw_neighbours", "milliseconds_per_image", "neighbours"]
