"""Wrong calls of what builds graphs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

import vig_pyg
from tests.reliability.wrong.values import NO_COUNT, NO_FLAG, NO_GRAPH, NO_SHARE, Call, no_nodes, nodes
from vig_pyg.graph import Grid, GridGraph, KNNGraph, RandomGraph, RelativePosition, WindowGraph, sincos_embedding
from vig_pyg.graph.registry import GRAPHS

LAYOUT = vig_pyg.NodeLayout.uniform(1, 4, 4)
NO_LAYOUT = (6, "4×4", (4, 4), Grid(1, 4, 4), vig_pyg.NodeLayout(()), vig_pyg.NodeLayout.uniform(1, 3, 3))
NO_BATCH = (
    [0] * 16,
    "batch",
    torch.zeros(16),
    torch.zeros(15, dtype=torch.long),
    torch.zeros(16, 1, dtype=torch.long),
    torch.arange(16).flip(0),
    torch.arange(16) - 1,
    torch.full((16,), 1 << 40),
    torch.zeros(16, dtype=torch.long, device="meta"),
    torch.zeros(16, dtype=torch.bool),
)
SEARCH = {
    "k": NO_COUNT,
    "dilation": NO_COUNT,
    "loop": NO_FLAG,
    "cosine": NO_FLAG,
    "stochastic": NO_FLAG,
    "epsilon": NO_SHARE,
    "backend": ("denze", "", None, 3, ["dense"], torch.ones(1)),
}
BATCHED = {
    "batch": NO_BATCH,
    "flow": ("both", "", None, 3, ["source_to_target"]),
    "num_workers": NO_COUNT,
    "batch_size": (*[count for count in NO_COUNT if count is not None], 2, 1 << 40),
}
BUILT = {name: SEARCH[name] for name in ("dilation", "stochastic", "epsilon", "backend")}
NO_IMAGE = (
    None,
    "cat.png",
    3,
    [[1.0]],
    torch.ones(8, 8),
    torch.ones(1, 3, 8, 8),
    torch.ones(3, 0, 8),
    torch.ones(0, 8, 8),
    torch.ones(3, 8, 8, dtype=torch.complex64),
    torch.ones(3, 8, 8, device="meta"),
    torch.ones(3, 8, 8).to_sparse(),
    np.ones(8),
    np.ones((1, 8, 8, 3)),
    np.full((8, 8), "a"),
    np.ones((8, 8), dtype=complex),
)
NO_LABEL = ("cat", [1, 2], torch.arange(2), np.ones(3), 1j)
NO_NAME = (None, 3, "", "a:b", b"a", ["a"], nn.Linear)


def _searches() -> list[Call]:
    x, y = nodes(), nodes(6, seed=1)
    spoiled = x.clone()
    spoiled[3, 2] = math.nan
    matrix = [*no_nodes(x), spoiled, spoiled.nan_to_num(math.inf), x.to_sparse()]
    found = KNNGraph(k=3)
    sizes = {"sizes": ("8×8", 3, None, [8], [(8,)], [(8, 8, 8)], [(0, 8)], [(8.0, 8.0)], ["88"], [None])}
    pairs = [(x, x, x), (x,), (x, x[:, 1:]), (x, x.double()), (x, None)]
    two = (LAYOUT, vig_pyg.NodeLayout.uniform(2, 4, 2))
    return [
        Call("knn_graph", vig_pyg.knn_graph, {"x": x, "k": 3}, {"x": matrix, **BATCHED, **SEARCH}),
        Call(
            "radius_graph",
            vig_pyg.radius_graph,
            {"x": x, "r": 1.0},
            {"x": matrix, **BATCHED, "r": (-1.0, math.nan, "1", None, True, 1j, [1.0]), "loop": NO_FLAG}
            | {"max_num_neighbors": NO_COUNT},
        ),
        Call(
            "knn_graph to others",
            vig_pyg.knn_graph,
            {"x": x, "k": 3, "y": y},
            {
                "y": [*no_nodes(y)[1:], y.double()],
                "batch_y": [torch.zeros(5, dtype=torch.long), torch.arange(6), torch.zeros(6)],
                "loop": (True,),
                "position": (x, x[1:], x.double()),
                "position_y": (y, "y"),
            },
        ),
        Call(
            "knn_graph with positions",
            vig_pyg.knn_graph,
            {"x": x, "k": 3, "position": x},
            {"position": no_nodes(x)[1:]},
        ),
        Call("KNNGraph", KNNGraph, {"k": 3}, {"k": NO_COUNT, "position": (3, "sincos", x), **BUILT}),
        Call(
            "KNNGraph()", found, {"x": x, "layout": LAYOUT}, {"x": [*no_nodes(x), *pairs], "layout": (*NO_LAYOUT, two)}
        ),
        Call("GridGraph", GridGraph, {"k": 3}, {"k": NO_COUNT, "dilation": NO_COUNT}),
        Call("GridGraph()", GridGraph(3), {"x": x, "layout": LAYOUT}, {"layout": NO_LAYOUT[:-1]}),
        Call(
            "WindowGraph",
            WindowGraph,
            {"k": 3},
            {name: NO_COUNT for name in ("k", "dilation", "window")}
            | {"adapt": NO_FLAG, "block": (-1, 2.5, "0", None), "position": (3, "sincos", x)},
        ),
        Call(
            "WindowGraph()",
            WindowGraph(3),
            {"x": x, "layout": LAYOUT},
            {"x": [None, "x", x.tolist(), x[0], x[1:], x.long(), *pairs], "layout": (*NO_LAYOUT, two)},
        ),
        Call("RandomGraph", RandomGraph, {"k": 3}, {"k": NO_COUNT, "seed": (-1, 2.5, "0", None, True)}),
        Call(
            "NodeLayout.uniform",
            vig_pyg.NodeLayout.uniform,
            {"count": 1, "height": 4, "width": 4},
            {name: NO_COUNT for name in ("count", "height", "width")},
        ),
        Call("NodeLayout.from_sizes", vig_pyg.NodeLayout.from_sizes, {"sizes": [(8, 8)]}, sizes),
        Call(
            "NodeLayout",
            vig_pyg.NodeLayout,
            {"grids": LAYOUT.grids},
            {"grids": (None, 3, "4×4", (4, 4), Grid(1, 4, 4), [LAYOUT.grids])},
        ),
        Call("NodeLayout.maps", LAYOUT.maps, {"x": x}, {"x": (None, "x", x[1:], x.tolist(), x[0])}),
    ]


def _images() -> list[Call]:
    image = torch.rand(3, 8, 8)
    pairs = [(image, 1, 2), (image,), (image, "cat"), (image, torch.arange(2)), (image, [1])]
    return [
        Call("image_data", vig_pyg.image_data, {"image": image}, {"image": NO_IMAGE, "y": NO_LABEL}),
        Call(
            "PatchGraph",
            vig_pyg.PatchGraph,
            {"patch_size": 2},
            {
                "patch_size": NO_COUNT,
                "k": NO_COUNT,
                "dilation": NO_COUNT,
                "cosine": NO_FLAG,
                "backend": SEARCH["backend"],
            },
        ),
        Call(
            "PatchGraph()",
            vig_pyg.PatchGraph(2),
            {"data": image},
            {"data": [*NO_IMAGE, *pairs, image[:, :1], image[:, :4, :4], image * math.nan]},
        ),
    ]


def _positions() -> list[Call]:
    grids = (4, "44", (4,), (4, 4, 4), (0, 4), (4, -1), (2.5, 2), ("a", "b"))
    return [
        Call(
            "RelativePosition",
            RelativePosition,
            {"channels": 8, "grid": (4, 4)},
            {"channels": (*NO_COUNT, 6), "grid": grids, "pool": NO_COUNT},
        ),
        Call(
            "sincos_embedding",
            sincos_embedding,
            {"pos": torch.rand(3, 2), "channels": 8},
            {
                "channels": (*NO_COUNT, 6),
                "pos": (None, "pos", [[1, 2]], torch.rand(2), torch.rand(3, 3), torch.ones(3, 2).long()),
            },
        ),
    ]


def _by_name() -> list[Call]:
    def register(name: Any = "of the campaign", aliases: Any = (), made: Any = RandomGraph) -> None:
        try:
            vig_pyg.register_graph(name, *aliases)(made)
        finally:
            GRAPHS.factories.pop("of the campaign", None)

    return [
        Call(
            "register_graph",
            register,
            {},
            {
                "name": (*NO_NAME, "knn", "dynamic"),
                "aliases": (["knn"], [3], ["a:b"]),
                "made": (None, 3, "knn", torch.ones(2)),
            },
        ),
        Call(
            "build_graph",
            vig_pyg.build_graph,
            {"graph": "knn", "k": 3},
            {"graph": NO_GRAPH, "k": NO_COUNT, "dilation": NO_COUNT, "backend": ("denze", 3), "nonsense": (1,)},
        ),
        Call(
            "build_graph of a grid",
            vig_pyg.build_graph,
            {"graph": "grid", "k": 3},
            {"k": NO_COUNT, "backend": ("dense",), "seed": (1,)},
        ),
    ]


def graph_calls() -> list[Call]:
    """Return the calls."""
    return [*_searches(), *_images(), *_positions(), *_by_name()]
