"""The Grapher is Eq. 6 of the paper, put together from its parts."""

import pytest
import torch
import torch.nn.functional as F

import vig_pyg
from vig_pyg.blocks import FFN, Block, Grapher
from vig_pyg.graph.knn import KNNGraph
from vig_pyg.graph.layout import NodeLayout

LAYOUT = NodeLayout.uniform(2, 6, 4)


def build(channels=8, conv="max_relative", **options):
    torch.manual_seed(0)
    grapher = Grapher(channels, KNNGraph(4), conv, heads=options.pop("heads", 2), **options).double()
    for name, tensor in grapher.state_dict().items():
        if "norm" in name and tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    return grapher


def features(layout=LAYOUT, channels=8):
    return torch.randn(layout.num_nodes, channels, dtype=torch.float64)


def normed(layer, x):
    norm = layer.norm
    mean, var = (x.mean(0), x.var(0, correction=0)) if norm.training else (norm.running_mean, norm.running_var)
    return (x - mean) / torch.sqrt(var + norm.eps) * norm.weight + norm.bias


def linear(layer, x):
    return normed(layer, x @ layer.linear.weight.T + layer.linear.bias)


def max_relative(layer, sources, targets, edges):
    """Eq. 3 to 5 with one row per edge and one product per head."""
    difference = sources[edges[0]] - targets[edges[1]]
    relative = torch.stack([difference[edges[1] == i].amax(0) for i in range(len(targets))])
    pairs = torch.stack([targets, relative], 2).flatten(1)
    heads = layer.nn.linear.heads
    weights = layer.nn.linear.weight.chunk(heads)
    parts = [part @ w.T for part, w in zip(pairs.chunk(heads, 1), weights, strict=True)]
    return F.gelu(normed(layer.nn, torch.cat(parts, 1) + layer.nn.linear.bias))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_it_equals_the_formula(heads, training):
    grapher, x = build(heads=heads).train(training), features()
    out, edges = grapher(x, LAYOUT)
    h = linear(grapher.fc1, x)
    torch.testing.assert_close(
        edges.as_tensor(), vig_pyg.knn_graph(h, 4, LAYOUT.batch(), loop=True, cosine=True).as_tensor()
    )
    expected = linear(grapher.fc2, max_relative(grapher.conv, h, h, edges.as_tensor())) + x
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("training", [False, True])
def test_pooled_sources_are_averages_of_windows(training):
    grapher, x = build(pool=2).train(training), features()
    out, edges = grapher(x, LAYOUT)
    h = linear(grapher.fc1, x)
    windows = h.view(2, 3, 2, 2, 2, 8).mean((2, 4)).reshape(-1, 8)
    assert grapher.source_layout(LAYOUT).sizes == [(3, 2)] * 2
    batch = grapher.source_layout(LAYOUT).batch()
    found = vig_pyg.knn_graph(windows, 4, batch, y=h, batch_y=LAYOUT.batch(), cosine=True)
    torch.testing.assert_close(edges.as_tensor(), found.as_tensor())
    expected = linear(grapher.fc2, max_relative(grapher.conv, windows, h, found.as_tensor())) + x
    torch.testing.assert_close(out, expected)


def test_source_layout_agrees_with_what_is_pooled_at_odd_sizes():
    layout = NodeLayout.from_sizes([(5, 7), (4, 9)])
    grapher, x = build(pool=2).eval(), features(layout)
    _, edges = grapher(x, layout)
    assert edges.sparse_size() == (grapher.source_layout(layout).num_nodes, layout.num_nodes)
    assert grapher.source_layout(layout).sizes == [(3, 4), (2, 5)]


@pytest.mark.parametrize("conv", ["max_relative", "edge", "gin", "sage", "gcn", "gat"])
def test_without_linear_layers_only_the_operator_stays(conv):
    grapher, x = build(conv=conv, fc=False).eval(), features()
    out, edges = grapher(x, LAYOUT)
    torch.testing.assert_close(
        edges.as_tensor(), vig_pyg.knn_graph(x, 4, LAYOUT.batch(), loop=True, cosine=True).as_tensor()
    )
    torch.testing.assert_close(out, grapher.conv(x, edges) + x)


@pytest.mark.parametrize("conv", ["max_relative", "edge", "gin", "sage", "gcn", "gat"])
@pytest.mark.parametrize("pool", [1, 2])
def test_any_operator_fits(conv, pool):
    grapher, x = build(conv=conv, pool=pool), features().requires_grad_()
    out, _ = grapher(x, LAYOUT)
    out.square().mean().backward()
    assert out.shape == x.shape
    assert x.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in grapher.parameters())


def test_given_edges_are_used():
    grapher, x = build().eval(), features()
    loops = torch.arange(len(x)).expand(2, -1)
    given = vig_pyg.graph.edges.edges_from_list(loops, len(x), len(x))
    out, edges = grapher(x, LAYOUT, given)
    assert edges is given
    h = linear(grapher.fc1, x)
    torch.testing.assert_close(out, linear(grapher.fc2, max_relative(grapher.conv, h, h, loops)) + x)


def test_the_graph_may_be_any_callable():
    seen = []

    def everything(x, layout):
        seen.append((x.shape, layout))
        return vig_pyg.knn_graph(x, 24, layout.batch(), loop=True)

    grapher = Grapher(8, everything, heads=1).eval()
    _, edges = grapher(torch.randn(48, 8), LAYOUT)
    assert seen == [((48, 8), LAYOUT)]
    assert edges.size(1) == 48 * 24


def test_a_dropped_branch_leaves_the_input():
    x = features()
    assert torch.equal(build(drop_path=1.0).train()(x, LAYOUT)[0], x)
    assert torch.equal(build(dropout=1.0).train()(x, LAYOUT)[0], x)


def test_a_block_is_a_grapher_and_an_ffn():
    grapher, ffn, x = build().eval(), FFN(8).double().eval(), features()
    out, layout, edges = Block(grapher, ffn)(x, LAYOUT)
    hidden, expected_edges = grapher(x, LAYOUT)
    assert layout is LAYOUT
    assert torch.equal(edges.as_tensor(), expected_edges.as_tensor())
    torch.testing.assert_close(out, ffn(hidden, LAYOUT))
    torch.testing.assert_close(Block(grapher, None)(x, LAYOUT)[0], hidden)


def test_heads_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match="heads=3 must divide 16 input and 16 output channels"):
        Grapher(8, KNNGraph(4), heads=3)
