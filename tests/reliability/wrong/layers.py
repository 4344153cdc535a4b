"""Wrong calls of operators and layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import vig_pyg
from tests.reliability.wrong.graphs import LAYOUT, NO_LAYOUT, NO_NAME
from tests.reliability.wrong.values import (
    NO_ACT,
    NO_CONV,
    NO_COUNT,
    NO_FLAG,
    NO_NORM,
    NO_SHARE,
    Call,
    no_edges,
    no_features,
    nodes,
)
from vig_pyg.blocks import FFN, DropPath, Grapher, Head, pool_nodes
from vig_pyg.conv import GroupedLinear, LinearNormAct, build_act, build_norm
from vig_pyg.conv.registry import CONVS
from vig_pyg.graph import KNNGraph

OPERATORS = (vig_pyg.MaxRelativeConv, vig_pyg.EdgeConv, vig_pyg.GINConv, vig_pyg.SAGEConv)
NO_LAYER = {"norm": NO_NORM, "act": NO_ACT}
NO_HEADS = (*NO_COUNT, 3, 16)


def _operator(conv: type[nn.Module]) -> list[Call]:
    x = nodes()
    edges = vig_pyg.knn_graph(x, 3, loop=True).as_tensor()
    no_pair = [(), (x,), [x], (x, x, x), (None, x), (x, x[:, 1:]), (x[:8], x), {"x": x}]
    no_width = (0, -2, 2.5, "3", None, True, (8,), (8, 8, 8), (8, 0), (8, "8"))
    widths = {"in_channels": no_width, "out_channels": (*NO_COUNT, 7), "heads": NO_HEADS}
    weighed = conv is not vig_pyg.EdgeConv
    operator = conv(8, 8, heads=2).eval()
    return [
        Call(
            conv.__name__,
            conv,
            {"in_channels": 8, "out_channels": 8, "heads": 2},
            {**widths, **NO_LAYER, "nonsense": (1,)},
        ),
        Call(
            f"{conv.__name__}()",
            operator,
            {"x": x, "edge_index": edges},
            {"x": [*no_features(x), *no_pair], "edge_index": no_edges(edges, len(x), weighed)},
        ),
    ]


def _by_name() -> list[Call]:
    def register(name: Any = "of the campaign", aliases: Any = (), made: Any = vig_pyg.GINConv) -> None:
        try:
            vig_pyg.register_conv(name, *aliases)(made)
        finally:
            CONVS.factories.pop("of the campaign", None)

    of_it = {
        "name": (*NO_NAME, "edge", "mr"),
        "aliases": (["mr"], [3], ["a:b"]),
        "made": (None, 3, "edge", torch.ones(2)),
    }
    widths = {"in_channels": NO_COUNT, "out_channels": NO_COUNT, "heads": NO_HEADS}
    right = {"conv": "edge", "in_channels": 8, "out_channels": 8}
    return [
        Call("register_conv", register, {}, of_it),
        Call("build_conv", vig_pyg.build_conv, right, {"conv": NO_CONV, **widths, **NO_LAYER, "nonsense": (1,)}),
        Call("build_conv of PyG's", vig_pyg.build_conv, {**right, "conv": "gat"}, {**widths, "nonsense": (1,)}),
    ]


def _linear() -> list[Call]:
    x = nodes()
    widths = {"in_channels": (*NO_COUNT, 7), "out_channels": (*NO_COUNT, 7), "heads": NO_HEADS}
    right = {"in_channels": 8, "out_channels": 8, "heads": 2}
    return [
        Call("build_norm", build_norm, {"norm": "batch", "channels": 8}, {"norm": NO_NORM, "channels": NO_COUNT}),
        Call("build_act", build_act, {"act": "gelu"}, {"act": NO_ACT}),
        Call("GroupedLinear", GroupedLinear, right, widths),
        Call(
            "GroupedLinear()", GroupedLinear(8, 8, 2), {"x": x}, {"x": no_features(x), "y": no_features(x[:, :4])[1:]}
        ),
        Call("LinearNormAct", LinearNormAct, right, {**widths, **NO_LAYER}),
        Call("LinearNormAct()", LinearNormAct(8, 8).eval(), {"x": x}, {"x": no_features(x)}),
    ]


def _blocks() -> list[Call]:
    x, features, of_layout = nodes(), nodes(2), (6, "4×4", vig_pyg.NodeLayout.uniform(1, 3, 3))
    branch = {"dropout": NO_SHARE, "drop_path": NO_SHARE}
    grapher = Grapher(8, KNNGraph(3), heads=2).eval()
    options = {"heads": NO_HEADS, "pool": NO_COUNT, "fc": NO_FLAG, **NO_LAYER, **branch}
    right = {"x": x, "layout": LAYOUT}
    edges = vig_pyg.knn_graph(x, 3, loop=True).as_tensor()
    classes = (-1, 2.5, "3", None, True, [3])
    return [
        Call(
            "Grapher",
            Grapher,
            {"channels": 8, "graph": KNNGraph(3)},
            {"channels": NO_COUNT, "graph": (None, 3, "knn"), "conv": NO_CONV, **options},
        ),
        Call("Grapher()", grapher, right, {"x": no_features(x), "layout": NO_LAYOUT, "edges": no_edges(edges, 16)[1:]}),
        Call(
            "Grapher() of another graph",
            lambda made: Grapher(8, lambda *_: made)(x, LAYOUT),
            {"made": edges},
            {"made": no_edges(edges, 16)},
        ),
        Call("FFN", FFN, {"channels": 8}, {"channels": NO_COUNT, "ratio": NO_COUNT, **NO_LAYER, **branch}),
        Call("FFN()", FFN(8, drop_path=0.5), right, {"x": no_features(x), "layout": of_layout}),
        Call("DropPath", DropPath, {"drop_prob": 0.5}, {"drop_prob": NO_SHARE}),
        Call("DropPath()", DropPath(0.5), right, {"x": (None, "x", x.tolist(), x[1:]), "layout": of_layout}),
        Call(
            "Head",
            Head,
            {"channels": 8, "num_classes": 3},
            {"channels": NO_COUNT, "num_classes": classes, "hidden": NO_COUNT, "act": NO_ACT, "dropout": NO_SHARE},
        ),
        Call("Head()", Head(8, 3).eval(), {"x": features}, {"x": no_features(features), "pre_logits": NO_FLAG}),
        Call(
            "pool_nodes",
            pool_nodes,
            right,
            {"x": (None, "x", x.tolist(), x[1:]), "layout": of_layout, "pooling": ("mean", "", None, 3, ["avg"])},
        ),
    ]


def layer_calls() -> list[Call]:
    """Return the calls."""
    operators = [call for conv in OPERATORS for call in _operator(conv)]
    return [*operators, *_by_name(), *_linear(), *_blocks()]
