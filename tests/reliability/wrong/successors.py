"""Wrong calls of what the successors of ViG are made of."""

from __future__ import annotations

import math

import torch

import vig_pyg
from tests.reliability.wrong.graphs import LAYOUT, NO_LAYOUT
from tests.reliability.wrong.models import SHARED
from tests.reliability.wrong.values import NO_COUNT, NO_FLAG, NO_GRAPH, NO_SHARE, Call, no_nodes, nodes
from vig_pyg.blocks import ConditionalPosition, InvertedResidual
from vig_pyg.conv import AttentionConv
from vig_pyg.graph import AxialGraph, CompleteGraph, CrossGraph, GatedGraph, GreedyGraph, LogGraph

SMALL = {"channels": (8, 16), "depths": ((1, 1), (1, 1)), "num_classes": 3}
RIGHT = {"channels": 8}
NO_SCALE = (math.nan, math.inf, "1", True, 1j)
OF_MODELS = ("in_chans", "num_classes", "k", "dilation", "norm", "act", "readout", "stochastic", "epsilon", "drop_rate")


def _graphs() -> list[Call]:
    x = nodes()
    calls = []
    for graph in (AxialGraph, CrossGraph, GreedyGraph, GatedGraph):
        calls.append(Call(graph.__name__, graph, {"step": 2}, {"step": NO_COUNT, "wrap": NO_FLAG}))
        wrong = {"x": [None, "x", x.tolist(), x[1:]], "layout": (*NO_LAYOUT[:-2], NO_LAYOUT[-1])}
        calls.append(Call(f"{graph.__name__}()", graph(2), {"x": x, "layout": LAYOUT}, wrong))
    calls.append(Call("LogGraph", LogGraph, {"base": 2}, {"base": (*NO_COUNT, 1), "wrap": NO_FLAG}))
    nowhere = {"layout": (6, "4×4", (4, 4), vig_pyg.NodeLayout.uniform(1, 3, 3))}
    calls.append(Call("CompleteGraph()", CompleteGraph(), {"x": x, "layout": LAYOUT}, nowhere))
    return calls


def _layers() -> list[Call]:
    x = nodes()
    widths = {"channels": NO_COUNT, "layer_scale": NO_SCALE}
    return [
        Call(
            "InvertedResidual", InvertedResidual, {"channels": 8}, {**widths, "ratio": NO_COUNT, "drop_path": NO_SHARE}
        ),
        Call(
            "ConditionalPosition",
            ConditionalPosition,
            {"channels": 8},
            {"channels": NO_COUNT, "kernel": (*NO_COUNT, 4)},
        ),
        Call(
            "ConditionalPosition()",
            ConditionalPosition(8),
            {"x": x, "layout": LAYOUT},
            {"x": [x[1:], x[:, 1:]], "layout": (6, "4×4", vig_pyg.NodeLayout.uniform(1, 3, 3))},
        ),
        Call(
            "AttentionConv",
            AttentionConv,
            {"in_channels": 8, "out_channels": 8},
            {"in_channels": (0, -2, 2.5, "3", None, True), "out_channels": NO_COUNT, "nonsense": (1,)},
        ),
        Call(
            "AttentionConv()",
            AttentionConv(8, 8),
            {"x": x, "edge_index": torch.randint(16, (2, 30))},
            {"x": [*no_nodes(x), x[:8]], "edge_index": [None, torch.full((2, 3), 16), torch.rand(2, 3)]},
        ),
        Call(
            "MaxRelativeConv, its own options",
            vig_pyg.MaxRelativeConv,
            {"in_channels": 8, "out_channels": 8},
            {"floor": NO_FLAG, "reverse": NO_FLAG},
        ),
    ]


def _models() -> list[Call]:
    wrong = {name: SHARED[name] for name in OF_MODELS}
    wrong["k"] = wrong["dilation"] = [*wrong["k"], 3]  # the graph takes neither
    model, images = vig_pyg.MobileViG(**SMALL).eval(), torch.rand(1, 3, 32, 32)
    return [
        Call(
            "MobileViG",
            vig_pyg.MobileViG,
            SMALL,
            {
                **wrong,
                "channels": (None, 3, "88", [], [8], [8, 8, 8], [8, 0], [8, 2.5], [8, "8"], [7, 8]),
                "depths": (None, 3, "11", [], [(1, 1)], [1, 1], [(1,), (1,)], [(1, 0), (0, 0)], [(1, -1), (1, 1)]),
                "steps": (0, -1, 2.5, "3", [2], [2, 0], [2, "2"], [2, None]),
                "graph": (*NO_GRAPH, [], ["axial"], ["axial", "near"]),
                "conv": ("edgy", "nowhere:Conv", None, 3, [], ["edge"], ["edge", "edgy"]),
                "conv_options": (3, "floor", {"nonsense": 1}, {"heads": 2}, {"floor": 3}),
                "graph_options": (3, "wrap", {"nonsense": 1}, {"k": 3}, {"wrap": 3}, {"step": 2}),
                "hidden": NO_COUNT,
                "heads": (*NO_COUNT, 3),
                "expansion": NO_COUNT,
                "cpe": (0, -1, 2.5, "3", True, 4),
                "layer_scale": NO_SCALE,
                "drop_path_rate": NO_SHARE,
                "drop_path_slip": NO_FLAG,
                "distilled": NO_FLAG,
                "nonsense": (1,),
            },
        ),
        Call(
            "MobileViG()", model, {"inputs": images}, {"inputs": [None, "x", images[0], images[:, :1], images[..., :2]]}
        ),
        Call("MobileViG.set_distilled_training", model.set_distilled_training, {"enable": True}, {"enable": NO_FLAG}),
    ]


def successor_calls() -> list[Call]:
    """Return all calls of this file."""
    return [*_graphs(), *_layers(), *_models()]
