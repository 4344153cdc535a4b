"""The graph of nodes that are more alike than a threshold, from cosines pair by pair."""

import math

import pytest
import timm
import torch

from tests.kernels.clustered import normal, unit
from vig_pyg.conv import GINConv, MaxRelativeConv
from vig_pyg.graph import Edges, NodeLayout, PointLayout, ThresholdGraph, threshold
from vig_pyg.graph.edges import edge_list

SIZES = [20, 12, 20, 4]
LAYOUTS = {
    "grid": NodeLayout.from_sizes([(4, 5), (3, 4), (4, 5), (2, 2)]),
    "points": PointLayout(torch.arange(4).repeat_interleave(torch.tensor(SIZES))),
}


def pairs_of(edges):
    source, target = edge_list(edges)
    assert (target.diff() >= 0).all()
    return list(zip(source.tolist(), target.tolist(), strict=True))


def by_definition(x, sizes, least):
    """Return the cosine of every linked pair."""
    graph = [number for number, size in enumerate(sizes) for _ in range(size)]
    found = {}
    for i in range(len(x)):
        for j in range(len(x)):
            cosine = sum(a * b for a, b in zip(x[i].tolist(), x[j].tolist(), strict=True))
            cosine /= math.hypot(*x[i].tolist()) * math.hypot(*x[j].tolist())
            if graph[i] == graph[j] and (cosine > least or i == j):
                found[j, i] = cosine
    return found


@pytest.mark.parametrize("block", [1 << 22, 300, 50])  # all at once, image by image, a few rows of one
@pytest.mark.parametrize("least", [-0.5, 0.1, 0.8])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_nodes_are_linked_that_are_more_alike_than_the_threshold(layout, least, block, monkeypatch):
    monkeypatch.setattr(threshold, "BLOCK_SCORES", block)
    x = normal(sum(SIZES), 4)
    edges, expected = ThresholdGraph(least)(x, layout), by_definition(x, SIZES, least)
    found = pairs_of(edges)
    assert sorted(found) == sorted(expected) and edges.sparse_size() == (56, 56)
    assert edges.max_degree == max(sum(target == node for _, target in found) for node in range(56))
    weighed = ThresholdGraph(least, learned=True)(x, layout)
    assert pairs_of(weighed.adjacency) == found
    weights = [max(0.0, (expected[pair] - least) / (1 - least)) for pair in found]
    torch.testing.assert_close(weighed.weight.detach(), torch.tensor(weights, dtype=torch.double), rtol=1e-6, atol=1e-6)


def test_zeros_are_linked_to_themselves_alone():
    assert pairs_of(ThresholdGraph(0.1)(torch.zeros(3, 2), None)) == [(0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize("trained", [False, True])
def test_among_pooled_nodes_a_node_links_to_the_most_alike_in_any_case(trained):
    sizes, pooled = torch.tensor([24, 30]), torch.tensor([10, 12])
    x, y = normal(54, 4), normal(22, 4, seed=1)
    own, other = (torch.arange(2).repeat_interleave(counts) for counts in (sizes, pooled))
    alike = (unit(x) @ unit(y).T).masked_fill(own[:, None] != other, -2)
    kept = (alike > 0.7) | (alike == alike.amax(1, keepdim=True))
    edges = ThresholdGraph(0.7, trained)((y, x), (PointLayout(other), PointLayout(own)))
    adjacency = edges.adjacency if isinstance(edges, Edges) else edges
    assert torch.equal(adjacency.as_tensor().flip(0), kept.nonzero().T) and kept.sum(1).min() == 1
    if trained:
        assert (edges.weight >= 0).all() and (edges.weight == 0).sum() == ((alike <= 0.7) & kept).sum()


def learned(least):
    graph = ThresholdGraph(learned=True).double()
    graph.angle.data.fill_(math.atanh(least))
    return graph


def weighted(least, x):
    graph = learned(least)
    edges = graph(x, None)
    total = torch.zeros(len(x), dtype=torch.double)
    source, target = edge_list(edges.adjacency)
    return graph, total.index_add(0, target, edges.weight * x[source, 0])


@pytest.mark.parametrize("conv", [MaxRelativeConv, GINConv])
def test_what_nodes_receive_moves_with_the_threshold_without_jumps(conv):
    torch.manual_seed(0)
    x, width, conv = normal(30, 4), 1e-6, conv(4, 4).double()
    found, counts = [], set()
    middle = float(torch.cosine_similarity(x[3], x[8], dim=0))  # there the edges between these go
    for least in (middle + width * torch.arange(-20, 20).double()).tolist():
        edges = learned(least)(x, None)
        found.append(conv(x, edges.adjacency, edges.weight).detach())
        counts.add(len(edges.weight))
    assert len(counts) > 1  # edges were dropped on the way
    assert torch.stack(found).diff(dim=0).abs().max() < 100 * width


def test_the_gradient_of_the_threshold_and_of_features_is_that_of_finite_differences():
    x, least = normal(30, 4).requires_grad_(), 0.3
    graph, total = weighted(least, x)
    in_angle, in_x = torch.autograd.grad(total.square().sum(), (graph.angle, x))

    def value(angle, features):
        return weighted(math.tanh(angle), features)[1].square().sum().item()

    with torch.no_grad():
        angle, step = math.atanh(least), 1e-5
        assert in_angle.item() == pytest.approx(
            (value(angle + step, x) - value(angle - step, x)) / (2 * step), rel=1e-4
        )
        for node, channel in ((0, 0), (7, 3), (29, 1)):
            change = torch.zeros_like(x)
            change[node, channel] = step
            slope = (value(angle, x + change) - value(angle, x - change)) / (2 * step)
            assert in_x[node, channel].item() == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_a_fixed_threshold_has_no_parameter_and_no_gradient():
    graph, x = ThresholdGraph(0.5), normal(9, 4).requires_grad_()
    assert not list(graph.parameters()) and not graph(x, None).requires_grad
    assert f"{graph}" == "ThresholdGraph(threshold=0.5)"


def test_a_model_learns_the_threshold_of_every_block():
    torch.manual_seed(0)
    options = {"learned": True, "threshold": 0.2}
    model = timm.create_model("vig_micro", graph="threshold", graph_options=options, num_classes=3)
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    optimizer.step()
    graphs = [module for module in model.modules() if isinstance(module, ThresholdGraph)]
    assert len(graphs) == 4 and all(abs(graph.threshold - 0.2) > 1e-7 for graph in graphs)
    assert sum(name.endswith("graph.angle") for name in model.state_dict()) == 4


@pytest.mark.parametrize("wrong", [1.0, -1.0, 3, True, float("nan")])
def test_a_threshold_that_is_no_cosine_is_refused(wrong):
    with pytest.raises(ValueError, match="threshold is a cosine between -1 and 1, got"):
        ThresholdGraph(wrong)


def test_an_operator_without_weights_refuses_a_learned_threshold():
    model = timm.create_model("vig_micro", graph="threshold", conv="edge", graph_options={"learned": True})
    with pytest.raises(TypeError, match="the graph ThresholdGraph gives its edges edge_weight, but the operator takes"):
        model(torch.randn(1, 3, 32, 32))
