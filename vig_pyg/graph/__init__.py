"""How to build a graph: patches, neighbours, positions."""

from vig_pyg.graph.edges import compressed, edges_from_neighbours
from vig_pyg.graph.image_graph import ImageGraph, batch_graphs
from vig_pyg.graph.knn import KNNGraph, knn_graph
from vig_pyg.graph.layout import Grid, NodeLayout
from vig_pyg.graph.nearest import choose_backend
from vig_pyg.graph.patches import PatchGraph, image_data
from vig_pyg.graph.position import RelativePosition, sincos_embedding

__all__ = [
    "Grid",
    "ImageGraph",
    "KNNGraph",
    "NodeLayout",
    "PatchGraph",
    "RelativePosition",
    "batch_graphs",
    "choose_backend",
    "compressed",
    "edges_from_neighbours",
    "image_data",
    "knn_graph",
    "sincos_embedding",
]
