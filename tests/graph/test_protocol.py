"""Graphs that depend on the layout alone: made once, and wherever a model is copied, traced or compiled."""

import copy
import pickle

import pytest
import timm
import torch

from tests.graph.linked import of
from vig_pyg.graph import GridGraph, NodeLayout, RandomGraph
from vig_pyg.graph.edges import edge_list
from vig_pyg.graph.protocol import Edges, from_windows, sorted_edges

GRAPHS = (GridGraph, RandomGraph)


@pytest.mark.parametrize("graph", GRAPHS)
def test_it_is_made_once_for_a_layout(graph):
    graph = graph(4)
    first = of(graph)
    assert of(graph) is first and of(graph, NodeLayout.uniform(1, 4, 4)) is not first
    for size in range(4, 20):
        of(graph, NodeLayout.uniform(1, size, size))
    assert len(graph.recent.made) == 8  # and kept for the last few only


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_copy_makes_its_own(graph):
    graph = graph(4)
    edges = edge_list(of(graph))
    for other in (copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        assert not other.recent.made
        assert torch.equal(edge_list(of(other)), edges)


@pytest.mark.parametrize("graph", GRAPHS)
def test_edges_made_where_nothing_is_computed_serve_for_computing(graph):
    graph, layout = graph(9), NodeLayout.uniform(7, 6, 5)
    with torch.device("meta"):
        assert of(graph, layout).is_meta
    assert edge_list(of(graph, layout)).max() == layout.num_nodes - 1


@pytest.mark.parametrize("graph", GRAPHS)
def test_too_few_nodes_are_refused(graph):
    with pytest.raises(ValueError, match="k=9 neighbors need at least 9 nodes, but a grid of 2×3 has 6"):
        of(graph(9), NodeLayout.uniform(1, 2, 3))


@pytest.mark.parametrize("name", ["vig_micro", "pvig_micro"])
@pytest.mark.parametrize("graph", ["grid", "random"])
def test_models_learn_compile_and_export_on_it(name, graph):
    torch.manual_seed(0)
    model, images = timm.create_model(name, graph=graph, num_classes=3).eval(), torch.randn(2, 3, 32, 32)
    logits = model(images)
    torch.compiler.reset()
    close = {"rtol": 1e-4, "atol": 1e-5 * logits.abs().max().item()}  # products of another library
    torch.testing.assert_close(torch.compile(model, backend="aot_eager", fullgraph=True)(images), logits, **close)
    program = torch.export.export(model, (images,))
    torch.testing.assert_close(program.module()(images), logits, **close)
    model.train()(images).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_edges_are_sorted_with_their_weights():
    edges, weight = torch.tensor([[0, 1, 2], [2, 0, 1]]), torch.tensor([0.2, 0.0, 0.1])
    found = sorted_edges(Edges(edges, weight), 3, 3, edges.device)
    assert found.adjacency.tolist() == [[1, 2, 0], [0, 1, 2]]
    torch.testing.assert_close(found.weight, torch.tensor([0.0, 0.1, 0.2]))
    with pytest.raises(ValueError, match="there are 3 edges but 2 weights"):
        sorted_edges(Edges(edges, weight[:2]), 3, 3, edges.device)


def test_a_link_from_a_node_becomes_one_from_its_window():
    edges = sorted_edges(torch.tensor([[3, 0, 1], [0, 1, 2]]), 4, 4, torch.device("cpu"))
    pooled = from_windows(edges, torch.tensor([0, 0, 1, 1]), 2)
    assert pooled.tolist() == [[1, 0, 0], [0, 1, 2]] and pooled.sparse_size() == (2, 4)
