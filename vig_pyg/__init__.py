"""vig_pyg: graph neural networks on images, natively on PyTorch Geometric.

``import vig_pyg`` registers the models with timm: ``timm.create_model("vig_tiny", conv="edge")``.
"""

from vig_pyg.cli import stop_at_once, stop_on_mismatched_torch

with stop_at_once(), stop_on_mismatched_torch():
    import timm  # noqa: F401

    from vig_pyg.conv import EdgeConv, GINConv, MaxRelativeConv, SAGEConv, build_conv, list_convs, register_conv
    from vig_pyg.data.graphs import GraphDataset, graphs_of
    from vig_pyg.graph import (
        NodeLayout,
        PatchGraph,
        SuperpixelGraph,
        build_graph,
        image_data,
        knn_graph,
        list_graphs,
        radius_graph,
        register_graph,
    )
    from vig_pyg.kernels.recompute import recompute_activations
    from vig_pyg.models import MobileViG, PyramidViG, ViG, fuse_for_inference, load_checkpoint

__version__ = "0.1.0"

__all__ = [
    "EdgeConv",
    "GINConv",
    "GraphDataset",
    "MaxRelativeConv",
    "MobileViG",
    "NodeLayout",
    "PatchGraph",
    "PyramidViG",
    "SAGEConv",
    "SuperpixelGraph",
    "ViG",
    "build_conv",
    "build_graph",
    "fuse_for_inference",
    "graphs_of",
    "image_data",
    "knn_graph",
    "list_convs",
    "list_graphs",
    "load_checkpoint",
    "radius_graph",
    "recompute_activations",
    "register_conv",
    "register_graph",
]
