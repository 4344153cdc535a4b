"""The operator beside PyTorch Geometric's own means over hyperedges; test_operators.py has its definition."""

import pytest
import torch
from torch import nn
from torch_geometric import nn as pyg

from tests.conv.passed import graph, normal
from vig_pyg.conv.hypergraph import HypergraphConv
from vig_pyg.graph import Hypergraph
from vig_pyg.graph.edges import edge_list


@pytest.mark.parametrize("method", ["fuzzy", "kmeans"])
def test_from_nodes_to_hyperedges_and_back_are_the_means_of_pygs(method):
    x = normal(60, 8).double()
    links = Hypergraph(7, method)(x, None)
    conv = HypergraphConv(8, 8, act=None).double()
    conv.nn2 = nn.Identity()
    reference = pyg.HypergraphConv(8, 8).double()
    reference.lin.weight.data = conv.nn1.linear.weight.data
    reference.bias.data = conv.nn1.linear.bias.data
    conv.eps.data.fill_(0.3)
    expected = 1.3 * x + reference(x, edge_list(links.members))
    torch.testing.assert_close(conv((links.sources, x), links.adjacency), expected)


def test_a_weight_is_a_factor_of_a_hyperedge():
    x, edges = graph(k=3)
    conv = HypergraphConv(8, 12, heads=2, norm="layer").eval()
    torch.testing.assert_close(conv(x, edges, torch.ones(120)), conv(x, edges))
    weight = torch.rand(120, generator=torch.Generator().manual_seed(1))
    mean = (weight.view(40, 3, 1) * conv.nn1(x)[edges.as_tensor()[0]].view(40, 3, 8)).mean(1)
    torch.testing.assert_close(conv(x, edges, weight), conv.nn2(x + mean))


def test_hyperedges_may_be_of_another_width():
    x, y, edges = normal(6, 5), normal(4, 8, seed=1), torch.tensor([[5, 0], [0, 0]])
    for widths in ((5, 8), (-1, -1)):
        conv = HypergraphConv(widths, 12).eval()
        out = conv((x, y), edges)
        sent = conv.nn1(x)
        torch.testing.assert_close(out, conv.nn2(torch.cat([y[:1] + (sent[5] + sent[0]) / 2, y[1:]])))


def test_an_aggregation_that_changes_the_width_is_refused():
    with pytest.raises(ValueError, match=r"so aggr=\['mean', 'max'\] must keep width"):
        HypergraphConv(8, 12, aggr=["mean", "max"])
