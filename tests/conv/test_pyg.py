"""Each short name is PyTorch Geometric's operator as its paper has it."""

import pytest
import torch
from torch_geometric import nn as pyg

from tests.conv.passed import graph
from vig_pyg.conv import build_conv
from vig_pyg.conv import pyg as names

OPERATORS = {
    "gcn": (pyg.GCNConv, {}),
    "gat": (pyg.GATConv, {"heads": 1}),
    "gatv2": (pyg.GATv2Conv, {"heads": 1}),
    "transformer": (pyg.TransformerConv, {"heads": 1}),
    "graph": (pyg.GraphConv, {"aggr": "max"}),
    "sage_mean": (pyg.SAGEConv, {"aggr": "mean"}),
    "sage_max": (pyg.SAGEConv, {"aggr": "max", "project": True}),
    "resgated": (pyg.ResGatedGraphConv, {}),
    "gen": (pyg.GENConv, {}),
    "tag": (pyg.TAGConv, {"K": 2}),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_a_name_computes_what_pygs_class_does(name):
    kind, options = OPERATORS[name]
    conv, reference = build_conv(name, 8, 12), kind(8, 12, **options)
    reference.load_state_dict(conv.state_dict())
    x, edges = graph()
    assert type(conv) is kind
    torch.testing.assert_close(conv.eval()(x, edges), reference.eval()(x, edges.as_tensor()))


@pytest.mark.parametrize("name", ["gat", "gatv2", "transformer"])
def test_heads_share_the_output_channels(name):
    conv, (x, edges) = build_conv(name, 8, 12, heads=4), graph()
    assert (conv.heads, conv.out_channels) == (4, 3) and conv(x, edges).shape == (40, 12)
    with pytest.raises(ValueError, match="heads=5 must divide 12 output channels"):
        getattr(names, name)(8, 12, heads=5)


def test_pna_joins_the_node_with_four_aggregations_unscaled():
    conv, (x, edges) = names.pna(8, 12), graph(k=5)
    sources = edges.as_tensor()[0].view(40, 5)
    pairs = torch.cat([x[:, None].expand(-1, 5, -1), x[sources]], dim=2)
    sent = conv.pre_nns[0](pairs)
    spread = sent.var(1, correction=0).clamp(min=1e-5).sqrt()
    pooled = torch.cat([x, sent.mean(1), sent.amin(1), sent.amax(1), spread], dim=1)
    torch.testing.assert_close(conv(x, edges), conv.lin(conv.post_nns[0](pooled)), rtol=1e-4, atol=1e-5)
