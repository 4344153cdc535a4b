"""Graphs with few nodes, in all directions, beside ``torch_cluster``."""

import inspect

import pytest
import torch
import torch_cluster
import torch_geometric
from torch_geometric import EdgeIndex
from torch_geometric.nn import DynamicEdgeConv, GCNConv, pool

import vig_pyg
from tests.graph.searched import batch_of, brute_force, every_backend, normal, unit
from vig_pyg.graph import choose_backend, compressed, knn_graph
from vig_pyg.graph.search import neighbors_in_runs

SIZES = [[30], [5, 2, 2, 9], [1, 0, 7], [1], [1, 1], [3, 3]]
FLOWS = ["source_to_target", "target_to_source"]


def pairs(edges):
    """The edges as a sorted list of pairs."""
    return sorted(edges.T.tolist())


def test_graphs_of_equal_sizes_are_one_run():
    runs = neighbors_in_runs(normal(13, 3), 3, batch_of([4, 4, 2, 3]))
    assert [list(run.shape) for run in runs] == [[8, 3], [2, 1], [3, 2]]
    assert runs[0].min() == 0 and runs[1].tolist() == [[9], [8]]


def test_the_first_arguments_are_those_of_pyg():
    theirs = inspect.signature(pool.knn_graph).parameters.values()
    ours = list(inspect.signature(knn_graph).parameters.values())[: len(theirs)]
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


@every_backend
@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("loop", [True, False])
@pytest.mark.parametrize("k", [1, 4, 50])
@pytest.mark.parametrize("sizes", SIZES)
def test_graphs_of_any_size_agree_with_torch_cluster(sizes, k, loop, flow, backend):
    x, batch = normal(sum(sizes), 3), batch_of(sizes)
    ours = knn_graph(x, k, batch, loop, flow, backend=backend)
    assert pairs(ours) == pairs(torch_cluster.knn_graph(x, k, batch, loop, flow))


@pytest.mark.parametrize("loop", [True, False])
@pytest.mark.parametrize("k", [2, 50])
def test_cosine_agrees_with_torch_cluster_on_directions(k, loop):
    x, batch = normal(40, 4), batch_of([3, 17, 20])
    ours = knn_graph(x, k, batch, loop, cosine=True)
    assert pairs(ours) == pairs(torch_cluster.knn_graph(unit(x), k, batch, loop))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("flow", FLOWS)
def test_edges_of_irregular_graphs_are_sorted_and_know_their_pointers(sizes, flow):
    x = normal(sum(sizes), 3)
    edges = knn_graph(x, 4, batch_of(sizes), flow=flow).validate()
    order = "col" if flow == "source_to_target" else "row"
    assert edges.sort_order == order and edges.sparse_size() == (len(x), len(x))
    plain = EdgeIndex(edges.as_tensor().clone(), sparse_size=edges.sparse_size(), sort_order=order)
    for ours, theirs in ((edges.get_csc(), plain.get_csc()), (edges.get_csr(), plain.get_csr())):
        assert torch.equal(ours[0][0], theirs[0][0])
    ptr, _, max_degree = compressed(edges)
    assert max_degree == max(ptr.diff().tolist())
    distance = (x[edges[0]] - x[edges[1]]).norm(dim=1)
    nodes = edges[1 if flow == "source_to_target" else 0]
    assert ((nodes.diff() > 0) | (distance.diff() >= 0)).all()


@pytest.mark.parametrize("dilation", [1, 2, 5])
def test_dilation_shrinks_graph_by_graph_until_all_candidates_are_taken(dilation):
    sizes = [3, 5, 13]
    x = normal(sum(sizes), 3)
    edges = knn_graph(x, 4, batch_of(sizes), dilation=dilation).as_tensor()
    start = 0
    for size in sizes:
        own = edges[0, (edges[1] >= start) & (edges[1] < start + size)] - start
        expected = brute_force(x[start : start + size], x[start : start + size], min(4, size - 1), dilation, loop=False)
        assert torch.equal(own.view(size, -1), expected)
        start += size


def test_stochastic_draws_from_all_candidates_of_a_small_graph():
    x = normal(7, 3)
    edges = knn_graph(x, 4, batch_of([3, 4]), dilation=2, stochastic=True, epsilon=1.0)
    assert pairs(edges) == pairs(torch_cluster.knn_graph(x, 6, batch_of([3, 4])))


@every_backend
def test_searching_nodes_find_what_their_graph_offers(backend):
    x, y, batch, batch_y = normal(8, 3), normal(9, 3, seed=1), batch_of([2, 0, 6]), batch_of([3, 2, 4])
    edges = knn_graph(x, 4, batch, y=y, batch_y=batch_y, backend=backend).validate()
    assert edges.sparse_size() == (8, 9)
    assert pairs(edges) == pairs(torch_cluster.knn(x, y, 4, batch, batch_y).flip(0))
    turned = knn_graph(x, 4, batch, y=y, batch_y=batch_y, flow="target_to_source", backend=backend).validate()
    assert turned.sparse_size() == (9, 8) and torch.equal(turned.flip(0).as_tensor(), edges.as_tensor())


def test_a_set_that_searches_itself_finds_itself():
    x = normal(6, 3)
    assert torch.equal(knn_graph(x, 1, y=x).as_tensor(), torch.arange(6).expand(2, -1))


def test_the_last_graphs_of_a_batch_may_be_empty():
    x, y = normal(6, 3), normal(4, 3, seed=1)
    alone = knn_graph(x, 2, batch_of([3, 3])).as_tensor()
    assert torch.equal(knn_graph(x, 2, batch_of([3, 3]), batch_size=5).as_tensor(), alone)
    edges = knn_graph(x, 2, batch_of([3, 3]), y=y, batch_y=batch_of([1, 1, 2]), batch_size=3)
    assert edges[1].tolist() == [0, 0, 1, 1]


def test_workers_change_nothing_but_the_time():
    x = normal(1100, 3)
    assert choose_backend(1100, 1100, 3) == "kdtree"
    assert torch.equal(knn_graph(x, 3, num_workers=2).as_tensor(), knn_graph(x, 3).as_tensor())


@pytest.mark.parametrize("sizes", [[12], [4, 1, 7]])
@pytest.mark.parametrize("operator", [GCNConv, vig_pyg.MaxRelativeConv, vig_pyg.EdgeConv])
def test_a_turned_graph_serves_messages_that_flow_the_other_way(operator, sizes):
    x, batch = normal(12, 4), batch_of(sizes)
    results = []
    for flow in FLOWS:
        torch.manual_seed(0)
        conv = operator(4, 6, flow=flow).double()
        results.append(conv(x, knn_graph(x, 3, batch, flow=flow)))
    torch.testing.assert_close(*results)


def test_compiled_code_refuses_graphs_that_are_too_small():
    compiled = torch.compile(lambda x, batch: knn_graph(x, 3, batch)[0] + 0, backend="aot_eager", fullgraph=True)
    x = normal(9, 3)
    torch.compiler.reset()
    assert torch.equal(compiled(x, batch_of([4, 5])), knn_graph(x, 3, batch_of([4, 5]))[0])
    with pytest.raises(ValueError, match="compiled, k=3 neighbors need 3 candidates in every graph, but one has 2"):
        compiled(x, batch_of([3, 6]))


@pytest.mark.parametrize("sizes", [[40], [15, 25], [15, 4, 21]])
def test_a_layer_on_a_graph_of_its_own_features_is_that_of_pyg(sizes, monkeypatch):
    # PyG's own search is in a package that is seldom installed and that takes the same arguments.
    monkeypatch.setattr(torch_geometric.typing, "WITH_KNN", True)
    monkeypatch.setattr(torch.ops.pyg, "knn", torch.ops.torch_cluster.knn, raising=False)
    x, batch = normal(40, 3), batch_of(sizes)
    conv = vig_pyg.EdgeConv(3, 8, act=None, norm=None).double()
    theirs = DynamicEdgeConv(conv.nn.linear, k=10)
    assert pairs(knn_graph(x, 10, batch, loop=True)) == pairs(pool.knn_graph(x, 10, batch, loop=True))
    torch.testing.assert_close(conv(x, vig_pyg.knn_graph(x, 10, batch, loop=True)), theirs(x, batch))
