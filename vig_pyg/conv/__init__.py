"""Operators that pass messages, and their registry."""

import vig_pyg.conv.pyg  # noqa: F401  (registers PyG's own)
from vig_pyg.conv.attention import AttentionConv
from vig_pyg.conv.complete import CompletedConv, build_layer
from vig_pyg.conv.edge import EdgeConv
from vig_pyg.conv.gin import GINConv
from vig_pyg.conv.hypergraph import HypergraphConv
from vig_pyg.conv.linear import GroupedLinear, LinearNormAct, build_act, build_norm
from vig_pyg.conv.max_relative import MaxRelativeConv
from vig_pyg.conv.registry import build_conv, get_conv, list_convs, register_conv
from vig_pyg.conv.sage import SAGEConv

__all__ = [
    "AttentionConv",
    "CompletedConv",
    "EdgeConv",
    "GINConv",
    "GroupedLinear",
    "HypergraphConv",
    "LinearNormAct",
    "MaxRelativeConv",
    "SAGEConv",
    "build_act",
    "build_conv",
    "build_layer",
    "build_norm",
    "get_conv",
    "list_convs",
    "register_conv",
]
