"""The operator beside PyTorch Geometric's own; test_operators.py has its definition, edge by edge."""

import torch
from torch_geometric import nn as pyg

from tests.conv.passed import graph, normal
from vig_pyg.conv.gin import GINConv


def test_it_is_pygs_with_the_same_map():
    x, edges = graph()
    conv = GINConv(8, 12, heads=2, norm="layer", act="gelu")
    conv.eps.data.fill_(0.3)
    reference = pyg.GINConv(conv.nn, train_eps=True)
    reference.eps.data.fill_(0.3)
    torch.testing.assert_close(conv(x, edges), reference(x, edges.as_tensor()))


def test_sources_may_be_other_nodes():
    x, y = normal(40, 8), normal(5, 8, seed=1)
    edges = torch.tensor([[3, 39, 0], [0, 0, 4]])
    conv = GINConv(8, 12, act="gelu").eval()
    total = torch.stack([x[3] + x[39], *torch.zeros(3, 8), x[0]])
    torch.testing.assert_close(conv((x, y), edges), conv.nn(y + total))
