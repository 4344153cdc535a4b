"""How to build a graph: patches, neighbors, positions."""

from vig_pyg.graph.axial import AxialGraph, CrossGraph, LogGraph
from vig_pyg.graph.cluster import ClusterGraph
from vig_pyg.graph.complete import CompleteGraph
from vig_pyg.graph.edges import compressed, edges_from_neighbors
from vig_pyg.graph.gated import GatedGraph
from vig_pyg.graph.greedy import GreedyGraph
from vig_pyg.graph.grid import GridGraph
from vig_pyg.graph.hypergraph import Hypergraph
from vig_pyg.graph.image_graph import ImageGraph, batch_graphs
from vig_pyg.graph.knn import KNNGraph, knn_graph
from vig_pyg.graph.layout import Grid, NodeLayout
from vig_pyg.graph.nearest import choose_backend
from vig_pyg.graph.patches import PatchGraph, image_data
from vig_pyg.graph.points import PointLayout
from vig_pyg.graph.position import RelativePosition, sincos_embedding
from vig_pyg.graph.protocol import Edges, Graph, LayoutGraph
from vig_pyg.graph.radius import radius_graph
from vig_pyg.graph.random import RandomGraph
from vig_pyg.graph.registry import build_graph, get_graph, list_graphs, register_graph
from vig_pyg.graph.superpixels import SuperpixelData, SuperpixelGraph
from vig_pyg.graph.threshold import ThresholdGraph
from vig_pyg.graph.window import WindowGraph

__all__ = [
    "AxialGraph",
    "ClusterGraph",
    "CompleteGraph",
    "CrossGraph",
    "Edges",
    "GatedGraph",
    "Graph",
    "GreedyGraph",
    "Grid",
    "GridGraph",
    "Hypergraph",
    "ImageGraph",
    "KNNGraph",
    "LayoutGraph",
    "LogGraph",
    "NodeLayout",
    "PatchGraph",
    "PointLayout",
    "RandomGraph",
    "RelativePosition",
    "SuperpixelData",
    "SuperpixelGraph",
    "ThresholdGraph",
    "WindowGraph",
    "batch_graphs",
    "build_graph",
    "choose_backend",
    "compressed",
    "edges_from_neighbors",
    "get_graph",
    "image_data",
    "knn_graph",
    "list_graphs",
    "radius_graph",
    "register_graph",
    "sincos_embedding",
]
