import pytest
import torch
from torch import nn
from torch_geometric.nn import GCNConv, MessagePassing

from vig_pyg.blocks import Grapher
from vig_pyg.conv import CompletedConv, build_layer, list_convs
from vig_pyg.conv.fused import FusedConv
from vig_pyg.graph import KNNGraph, NodeLayout

EDGES = torch.tensor([[0, 1, 2, 0, 2], [0, 1, 1, 3, 0]])


class Sum(MessagePassing):
    def __init__(self, in_channels, out_channels):
        super().__init__(aggr="sum")
        self.linear = nn.Linear(in_channels, out_channels, bias=False)

    def forward(self, x, edge_index):
        return self.linear(self.propagate(edge_index, x=x))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("conv", ["max_relative", "mr", "edge", "gin", "sage"])
def test_operators_of_ours_are_complete(conv):
    assert isinstance(build_layer(conv, 8, 12, norm="batch", act="gelu", heads=4), FusedConv)


class OfItsOwn(Sum):
    """Takes norm and act for purposes of its own."""

    def __init__(self, in_channels, out_channels, norm, act):
        super().__init__(in_channels, out_channels)


def test_an_operator_that_takes_norm_and_act_says_whether_it_is_complete():
    with pytest.raises(TypeError, match="OfItsOwn takes norm and act: give it the attribute complete = True if"):
        build_layer(OfItsOwn, 8, 12, norm="batch", act="gelu")
    for complete, kind in ((True, OfItsOwn), (False, CompletedConv)):
        conv = type("OfItsOwn", (OfItsOwn,), {"complete": complete})
        assert isinstance(build_layer(conv, 8, 12, norm="batch", act="gelu"), kind)


def test_an_operator_that_is_not_is_followed_by_norm_and_activation():
    layer, x = build_layer("gcn", 8, 12, norm="layer", act="relu", heads=4), normal(4, 8)
    assert isinstance(layer, CompletedConv)
    assert isinstance(layer.conv, GCNConv)
    torch.testing.assert_close(layer(x, EDGES), layer.norm(layer.conv(x, EDGES)).relu())


def test_in_a_bipartite_graph_targets_receive_from_sources_only():
    layer = build_layer(Sum, 8, 12, norm=None, act=None)
    sources, targets = normal(3, 8), normal(4, 8, seed=1)
    out = layer((sources, targets), EDGES)
    weight = layer.conv.linear.weight
    expected = [sources[0] + sources[2], sources[1] + sources[2], torch.zeros(8), sources[0]]
    torch.testing.assert_close(out, torch.stack(expected) @ weight.T)


@pytest.mark.parametrize("pair", [False, True])
def test_an_operator_that_returns_another_width_is_refused(pair):
    layer = build_layer(lambda i, o: Sum(i, 2 * o), 8, 12, norm=None, act=None)
    x = (normal(3, 8), normal(4, 8)) if pair else normal(4, 8)
    with pytest.raises(
        ValueError, match=r"^Sum returned 24 channels where 12 were asked for: where heads are concatenated, register"
    ):
        layer(x, EDGES)


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("conv", [*list_convs(), "torch_geometric.nn:SAGEConv"])
def test_every_operator_runs_forward_and_backward_in_a_grapher(conv, pool):
    torch.manual_seed(0)
    layout = NodeLayout.from_sizes([(4, 6), (4, 6), (5, 3)])
    grapher = Grapher(16, KNNGraph(3), conv, heads=4, pool=pool)
    x = normal(layout.num_nodes, 16).requires_grad_()
    out, edges = grapher(x, layout)
    (out * normal(*out.shape, seed=1)).sum().backward()
    assert out.shape == x.shape
    assert edges.shape == (2, 3 * layout.num_nodes)
    assert out.isfinite().all()
    assert x.grad.isfinite().all()
    untrained = [n for n, p in grapher.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not untrained


@pytest.mark.parametrize("conv", list_convs())
def test_images_of_a_batch_do_not_influence_each_other(conv):
    torch.manual_seed(0)
    grapher = Grapher(16, KNNGraph(3), conv, heads=4, pool=2).eval()
    both, one = NodeLayout.uniform(2, 4, 4), NodeLayout.uniform(1, 4, 4)
    x = normal(32, 16)
    together, _ = grapher(x, both)
    torch.testing.assert_close(together[16:], grapher(x[16:], one)[0], rtol=1e-4, atol=1e-5)
