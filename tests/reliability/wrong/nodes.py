"""Wrong calls of what makes graphs without a grid, and of sets of them."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import Data

import vig_pyg
from tests.reliability.wrong.graphs import NO_BATCH, NO_IMAGE, NO_LABEL
from tests.reliability.wrong.values import NO_COUNT, NO_FLAG, Call, no_nodes, nodes
from vig_pyg.data.graph_sets import load_graphs
from vig_pyg.data.graphs import GraphDataset, graphs_of
from vig_pyg.graph import KNNGraph, PointLayout

FOLDER = tempfile.TemporaryDirectory()
NO_WORD = ("", "other", None, 3, True, ["slic"])
NO_OPTION = ("big", None, [1], -1, math.nan)
NO_WORKERS = (-1, 2.5, "3", None, True, [3])
NO_CALL = (None, 3, "slic", [vig_pyg.PatchGraph(2)])


def _superpixels() -> list[Call]:
    image = torch.rand(3, 8, 8)
    pairs = [(image, 1, 2), (image,), *((image, label) for label in NO_LABEL)]
    graph = vig_pyg.SuperpixelGraph(4)
    no_data = [Data(), Data(x=image), Data(x=torch.rand(64, 3)), graph(image), image * math.nan, image / 0]
    return [
        Call(
            "SuperpixelGraph",
            vig_pyg.SuperpixelGraph,
            {"n_segments": 4},
            {
                "n_segments": [count for count in NO_COUNT if count is not None],
                "method": (*NO_WORD, "felzenszwalb"),
                "edges": NO_WORD,
                "k": (3,),
                "compactness": (0, *NO_OPTION),
                "sigma": NO_OPTION,
                "max_num_iter": ("big", None, [1], 2.5),
                "scale": (1,),
                "start_label": (1,),
                "nonsense": (1,),
            },
        ),
        Call(
            "SuperpixelGraph with neighbors",
            vig_pyg.SuperpixelGraph,
            {"edges": "knn", "k": 3},
            {"k": [count for count in NO_COUNT if count is not None]},
        ),
        Call(
            "SuperpixelGraph of Felzenszwalb",
            vig_pyg.SuperpixelGraph,
            {"method": "felzenszwalb", "scale": 9},
            {
                "n_segments": (4,),
                "scale": NO_OPTION,
                "sigma": NO_OPTION,
                "min_size": ("big", None, [1], 2.5),
                "compactness": (1,),
            },
        ),
        Call("SuperpixelGraph()", graph, {"data": image}, {"data": [*NO_IMAGE, *pairs, *no_data]}),
    ]


def _sets() -> list[Call]:
    images = [(torch.rand(3, 4, 4), label) for label in (0, 1)]
    transform = vig_pyg.PatchGraph(2, k=2)
    no_images = [None, 3, iter(images), {"a": images[0]}, *([image] for image in NO_IMAGE), [(images[0][0], "cat")]]
    file = Path(FOLDER.name) / "file"
    file.write_text("no folder")

    def made(root: Any = None, **given: Any) -> GraphDataset:
        with tempfile.TemporaryDirectory() as folder:
            return GraphDataset(**{"root": folder, "images": images, "pre_transform": transform, "log": False} | given)

    def read(root: Any = "unset") -> GraphDataset:
        with tempfile.TemporaryDirectory() as folder:
            return GraphDataset(folder if root == "unset" else root, images, transform, log=False)

    options = {"workers": NO_WORKERS, "log": NO_FLAG}
    return [
        Call(
            "graphs_of",
            graphs_of,
            {"images": images, "transform": transform, "log": False},
            {"images": no_images, "transform": NO_CALL, **options},
        ),
        Call(
            "GraphDataset",
            made,
            {},
            {
                "images": [*no_images, []],
                "pre_transform": NO_CALL,
                "transform": NO_CALL[1:],
                "force_reload": NO_FLAG,
                **options,
            },
        ),
        Call("GraphDataset in a folder", read, {}, {"root": (None, 3, True, ["a"], file, file / "inside")}),
        Call(
            "load_graphs",
            load_graphs,
            {"name": "shapes", "root": FOLDER.name},
            {
                "name": (
                    *NO_WORD,
                    b"shapes",
                    "digits",
                    "pyg/",
                    "pyg/Karate",
                    "pyg/Planetoid/nothing",
                    "pyg/ModelNet/3",
                ),
                "root": (None, 3, ["data"]),
            },
        ),
    ]


def _layouts() -> list[Call]:
    batch, pos = torch.arange(16) // 8, nodes(16, 2)
    spoiled = pos.clone()
    spoiled[3, 1] = math.inf
    gap = torch.where(batch > 0, 2, 0)
    no_pos = [*no_nodes(nodes(16, 1))[1:], pos[:8], spoiled, pos.to_sparse()]
    layout, x = PointLayout(batch, pos), nodes(16, 8)
    block = KNNGraph(3)
    other = PointLayout(torch.zeros(8, dtype=torch.long))
    return [
        Call(
            "PointLayout",
            PointLayout,
            {"batch": batch, "pos": pos},
            {"batch": [*NO_BATCH, gap], "pos": no_pos, "num_nodes": (0, -1, 8, 2.5, "16", True)},
        ),
        Call("PointLayout of so many", PointLayout, {"num_nodes": 16}, {"num_nodes": NO_COUNT}),
        Call("PointLayout.voxels", layout.voxels, {"size": 2}, {"size": (0, -1, math.nan, math.inf, "2", None, True)}),
        Call(
            "PointLayout.farthest",
            layout.farthest,
            {"ratio": 0.5},
            {"ratio": (0, -0.5, 1.5, math.nan, "half", None, True)},
        ),
        Call(
            "KNNGraph() of points",
            block,
            {"x": x, "layout": layout},
            {"x": no_nodes(x), "layout": (3, "layout", [0] * 16, (layout, other), other, *NO_BATCH[1:])},
        ),
    ]


def node_calls() -> list[Call]:
    """Return the calls."""
    return [*_superpixels(), *_sets(), *_layouts()]
