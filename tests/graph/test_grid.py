"""The grid and the random graph, from the words that they are described by."""

import copy
import pickle

import pytest
import timm
import torch

from vig_pyg.graph import GridGraph, NodeLayout, RandomGraph
from vig_pyg.graph.edges import edge_list

LAYOUT = NodeLayout.from_sizes([(4, 5), (4, 5), (3, 3)])
GRAPHS = (GridGraph, RandomGraph)


def neighbors(edges, node):
    source, target = edge_list(edges)
    return sorted(source[target == node].tolist())


def of(graph, layout=LAYOUT):
    return graph(torch.zeros(layout.num_nodes, 2), layout)


def test_inside_the_grid_the_neighbors_are_the_window_of_3_by_3():
    inner = 20 + 1 * 5 + 2  # row 1, column 2 of the second image
    expected = sorted(inner + 5 * row + column for row in (-1, 0, 1) for column in (-1, 0, 1))
    assert neighbors(of(GridGraph(9)), inner) == expected
    assert neighbors(of(GridGraph(9)), 40) == list(range(40, 49))


@pytest.mark.parametrize(("k", "dilation"), [(1, 1), (5, 1), (5, 3), (3, 9)])
def test_the_nearest_in_the_image_are_chosen_and_every_so_manyth_kept(k, dilation):
    layout = NodeLayout.uniform(1, 5, 6)
    edges, pos = of(GridGraph(k, dilation), layout), layout.pos()
    step = min(dilation, 30 // k)
    for node in range(30):
        distances = (pos - pos[node]).norm(dim=1)
        found = distances[neighbors(edges, node)].sort().values
        torch.testing.assert_close(found, distances.sort().values[: k * step : step])


def test_among_pooled_nodes_the_nearest_windows_are_chosen():
    sources, targets = NodeLayout.uniform(2, 2, 3), NodeLayout.uniform(2, 4, 6)
    edges = GridGraph(1)((torch.zeros(12, 2), torch.zeros(48, 2)), (sources, targets))
    assert edges.sparse_size() == (12, 48)
    own = [image * 6 + row // 2 * 3 + column // 2 for image in range(2) for row in range(4) for column in range(6)]
    assert edge_list(edges)[0].tolist() == own


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
    torch.testing.assert_close(torch.compile(model, backend="aot_eager", fullgraph=True)(images), logits)
    program = torch.export.export(model, (images,))
    torch.testing.assert_close(program.module()(images), logits)
    model.train()(images).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
