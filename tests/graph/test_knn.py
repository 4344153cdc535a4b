import pytest
import torch
import torch_cluster
import torch_scatter
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric import EdgeIndex
from torch_geometric.nn import GATConv, GCNConv, SAGEConv, TransformerConv

from tests.graph.searched import batch_of, brute_force, drawn, every_backend, neighbors, normal, unit
from vig_pyg.graph import (
    Grid,
    KNNGraph,
    NodeLayout,
    RelativePosition,
    choose_backend,
    compressed,
    edges_from_neighbors,
    knn_graph,
    sincos_embedding,
)
from vig_pyg.graph.pooling import average_pool
from vig_pyg.graph.position import grid_places


@every_backend
@pytest.mark.parametrize("loop", [True, False])
@drawn
@given(st.integers(2, 12), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99), st.data())
def test_neighbors_are_those_of_brute_force(backend, loop, nodes, channels, dilation, seed, data):
    k = data.draw(st.integers(1, nodes - (not loop)))
    x = normal(nodes, channels, seed=seed)
    edges = knn_graph(x, k, dilation=dilation, loop=loop, backend=backend)
    assert torch.equal(neighbors(edges, k), brute_force(x, x, k, dilation, loop))


@every_backend
@drawn
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(0, 99), st.data())
def test_neighbors_between_two_sets_are_those_of_brute_force(backend, n, m, dilation, seed, data):
    k = data.draw(st.integers(1, m))
    x, y = normal(m, 3, seed=seed), normal(n, 3, seed=seed + 1)
    edges = knn_graph(x, k, y=y, dilation=dilation, backend=backend)
    assert edges.sparse_size() == (m, n)
    assert torch.equal(neighbors(edges, k), brute_force(x, y, k, dilation))


@every_backend
def test_cosine_compares_directions_only(backend):
    x = normal(20, 4) * torch.logspace(-2, 2, 20, dtype=torch.double).view(-1, 1)
    edges = knn_graph(x, 5, loop=True, cosine=True, dilation=2, backend=backend)
    assert torch.equal(neighbors(edges, 5), brute_force(unit(x), unit(x), 5, 2))


@pytest.mark.parametrize("cosine", [True, False])
@pytest.mark.parametrize("backend", ["auto", "dense", "blockwise"])
def test_positions_bring_nodes_nearer_by_twice_their_inner_product(backend, cosine):
    x, y = normal(15, 4), normal(8, 4, seed=1)
    position, position_y = normal(15, 3, seed=2), normal(8, 3, seed=3)
    edges = knn_graph(x, 4, y=y, position=position, position_y=position_y, cosine=cosine, dilation=2, backend=backend)
    if cosine:
        x, y = unit(x), unit(y)
    expected = brute_force(x, y, 4, 2, position=position, position_y=position_y)
    assert torch.equal(neighbors(edges, 4), expected)


def test_positions_of_one_set_serve_both_sides():
    x, position = normal(15, 4), normal(15, 3, seed=2)
    expected = brute_force(x, x, 4, position=position, position_y=position, loop=False)
    assert torch.equal(neighbors(knn_graph(x, 4, position=position, loop=False), 4), expected)


def test_auto_finds_a_backend_for_positions_among_many_points_in_few_dimensions():
    x, position = normal(1100, 1), normal(1100, 2, seed=1)
    assert choose_backend(1100, 1100, 3) == "kdtree"
    expected = knn_graph(x, 3, loop=True, position=position, backend="dense")
    assert torch.equal(knn_graph(x, 3, loop=True, position=position).as_tensor(), expected.as_tensor())


# Batches ###############################################################################################


@every_backend
@pytest.mark.parametrize("loop", [True, False])
@pytest.mark.parametrize("sizes", [[6, 6, 6], [5, 9, 9, 4], [7, 0, 5], [4]])
def test_a_batch_gives_the_graphs_of_its_images_one_at_a_time(sizes, loop, backend):
    x, batch = normal(sum(sizes), 3), batch_of(sizes)
    edges = knn_graph(x, 2, batch, dilation=2, loop=loop, backend=backend)
    expected = []
    start = 0
    for size in sizes:
        alone = knn_graph(x[start : start + size], 2, dilation=2, loop=loop, backend=backend)
        expected.append(alone.as_tensor() + start)
        start += size
    assert torch.equal(edges.as_tensor(), torch.cat(expected, 1))


@every_backend
@pytest.mark.parametrize(
    ("sizes", "sizes_y"), [([6, 4, 5], [2, 7, 1]), ([4, 4], [3, 3]), ([5, 3, 4], [2, 0, 1]), ([3, 3], [2])]
)
def test_a_bipartite_batch_keeps_its_images_apart(sizes, sizes_y, backend):
    x, y = normal(sum(sizes), 3), normal(sum(sizes_y), 3, seed=1)
    edges = knn_graph(x, 2, batch_of(sizes), y=y, batch_y=batch_of(sizes_y), backend=backend)
    expected = []
    start = start_y = 0
    for size, size_y in zip(sizes, sizes_y, strict=False):
        found = brute_force(x[start : start + size], y[start_y : start_y + size_y], 2)
        expected.append(found + start)
        start, start_y = start + size, start_y + size_y
    assert torch.equal(neighbors(edges, 2), torch.cat(expected))


def test_each_graph_shrinks_its_dilation_to_its_own_candidates():
    x = normal(13, 3)
    edges = knn_graph(x, 3, batch_of([4, 9]), loop=True, dilation=5)
    assert torch.equal(neighbors(edges, 3)[:4], brute_force(x[:4], x[:4], 3, 1))
    assert torch.equal(neighbors(edges, 3)[4:] - 4, brute_force(x[4:], x[4:], 3, 3))


@pytest.mark.parametrize(("loop", "kept"), [(True, 3), (False, 2)])
def test_dilation_shrinks_to_candidates_over_k(loop, kept):
    x = torch.arange(9, dtype=torch.double).view(-1, 1) ** 1.1
    found = neighbors(knn_graph(x, 3, dilation=10, loop=loop), 3)
    first = 0 if loop else 1
    assert found[0].tolist() == [first, first + kept, first + 2 * kept]


@pytest.mark.parametrize("batch", [None, torch.empty(0, dtype=torch.long)])
def test_no_nodes_give_no_edges(batch):
    assert knn_graph(torch.empty(0, 3), 4, batch, loop=True).shape == (2, 0)


def test_the_type_of_the_batch_vector_may_be_any_integer():
    x, batch = normal(10, 3), batch_of([4, 6])
    expected = knn_graph(x, 3, batch, loop=True).as_tensor()
    assert torch.equal(knn_graph(x, 3, batch.int(), loop=True).as_tensor(), expected)


# Agreement #############################################################################################


@pytest.mark.parametrize("loop", [True, False])
def test_edges_agree_with_torch_cluster(loop):
    x, batch = normal(60, 3), batch_of([25, 35])
    theirs = torch_cluster.knn_graph(x, 6, batch, loop=loop)
    ours = knn_graph(x, 6, batch, loop=loop)
    assert sorted(ours.as_tensor().T.tolist()) == sorted(theirs.T.tolist())


def test_bipartite_edges_agree_with_torch_cluster():
    x, y, batch, batch_y = normal(30, 3), normal(17, 3, seed=1), batch_of([10, 20]), batch_of([9, 8])
    target, source = torch_cluster.knn(x, y, 5, batch, batch_y)
    ours = knn_graph(x, 5, batch, y=y, batch_y=batch_y)
    theirs = torch.stack([source, target])
    assert sorted(ours.as_tensor().T.tolist()) == sorted(theirs.T.tolist())


# Stochastic ############################################################################################


@every_backend
def test_stochastic_keeps_k_distinct_ones_of_the_k_times_d_nearest(backend):
    torch.manual_seed(0)
    x = normal(30, 3)
    nearest = brute_force(x, x, 12)
    seen = set()
    for _ in range(30):
        edges = knn_graph(x, 4, loop=True, dilation=3, stochastic=True, epsilon=1.0, backend=backend)
        found = neighbors(edges, 4)
        for node in range(30):
            assert len(set(found[node].tolist())) == 4
            assert set(found[node].tolist()) <= set(nearest[node].tolist())
        seen |= set(found[0].tolist())
    assert seen == set(nearest[0].tolist())


def test_stochastic_with_epsilon_zero_never_draws():
    x = normal(30, 3)
    expected = knn_graph(x, 4, loop=True, dilation=3).as_tensor()
    for _ in range(20):
        drawn_never = knn_graph(x, 4, loop=True, dilation=3, stochastic=True, epsilon=0.0)
        assert torch.equal(drawn_never.as_tensor(), expected)


def test_stochastic_draws_about_as_often_as_epsilon_says():
    torch.manual_seed(0)
    x = normal(20, 3)
    expected = knn_graph(x, 4, loop=True, dilation=4).as_tensor()
    graphs = [knn_graph(x, 4, loop=True, dilation=4, stochastic=True, epsilon=0.3).as_tensor() for _ in range(300)]
    share = sum(not torch.equal(graph, expected) for graph in graphs) / 300
    assert 0.2 < share < 0.4


# The edges #############################################################################################


def test_edges_are_a_valid_edge_index_sorted_by_target_and_distance():
    x, batch = normal(20, 4), batch_of([8, 12])
    edges = knn_graph(x, 4, batch, loop=True)
    assert isinstance(edges, EdgeIndex)
    edges.validate()
    assert edges.is_sorted_by_col
    assert edges.sparse_size() == (20, 20)
    source, target = edges.as_tensor()
    distance = (x[source] - x[target]).norm(dim=1).view(20, 4)
    assert (distance.diff(dim=1) >= 0).all()
    assert torch.equal(distance[:, 0], torch.zeros(20, dtype=torch.double))


@pytest.mark.parametrize("k", [0, 1, 3])
@pytest.mark.parametrize("targets", [0, 1, 5])
def test_the_pointers_filled_in_are_those_that_the_edges_have(targets, k):
    found = torch.arange(targets * k).view(targets, k) % 4
    edges = edges_from_neighbors(found, 4)
    plain = EdgeIndex(edges.as_tensor().clone(), sparse_size=(4, targets), sort_order="col")
    for ours, theirs in zip(compressed(edges)[:2], compressed(plain)[:2], strict=True):
        assert torch.equal(ours, theirs)
    assert compressed(edges)[2] == k


@pytest.mark.parametrize("operator", [GCNConv, GATConv, SAGEConv, TransformerConv])
def test_operators_of_pyg_give_the_same_on_our_edges_as_on_a_plain_list(operator):
    torch.manual_seed(0)
    x = normal(20, 4).float()
    edges = knn_graph(x, 4, batch_of([8, 12]), loop=True)
    conv = operator(4, 6)
    torch.testing.assert_close(conv(x, edges), conv(x, edges.as_tensor().clone()))


def test_the_edges_are_reduced_by_torch_scatter():
    x = normal(20, 4)
    edges = knn_graph(x, 4, loop=True)
    ptr, index, _ = compressed(edges)
    by_segment = torch_scatter.segment_csr(x[index], ptr, reduce="max")
    torch.testing.assert_close(by_segment, x[neighbors(edges, 4)].amax(1))


def test_features_with_a_gradient_give_edges_without():
    x = normal(10, 3).requires_grad_()
    assert not knn_graph(x, 3, loop=True).requires_grad
    assert not knn_graph(x, 3, loop=True, cosine=True).requires_grad


# The module ############################################################################################

SIZES = [(3, 4), (3, 4), (5, 2), (4, 4)]


@pytest.mark.parametrize("dilation", [1, 2, 9])
@pytest.mark.parametrize("sizes", [[(4, 4)] * 3, SIZES])
def test_the_module_gives_the_cosine_graph_of_every_image(sizes, dilation):
    layout = NodeLayout.from_sizes(sizes)
    x = normal(layout.num_nodes, 6)
    edges = KNNGraph(3, dilation)(x, layout)
    edges.validate()
    expected = knn_graph(x, 3, layout.batch(), loop=True, dilation=dilation, cosine=True)
    assert torch.equal(edges.as_tensor(), expected.as_tensor())
    assert torch.equal(compressed(edges)[0], compressed(expected)[0])


@pytest.mark.parametrize("sizes", [[(4, 4)] * 3, SIZES])
def test_the_module_links_pooled_sources_to_all_targets(sizes):
    layout = NodeLayout.from_sizes(sizes)
    x = normal(layout.num_nodes, 6)
    sources, pooled = NodeLayout.join([average_pool(m, 2) for m in layout.maps(x)])
    edges = KNNGraph(2)((sources, x), (pooled, layout))
    edges.validate()
    expected = knn_graph(sources, 2, pooled.batch(), y=x, batch_y=layout.batch(), cosine=True)
    assert edges.sparse_size() == (pooled.num_nodes, layout.num_nodes)
    assert torch.equal(edges.as_tensor(), expected.as_tensor())


@pytest.mark.parametrize("grid", [(4, 4), (3, 5)])
@pytest.mark.parametrize("pool", [1, 2])
def test_the_module_adds_the_relative_position_of_its_stage(grid, pool):
    position = RelativePosition(8, (4, 4), pool).double()
    layout = NodeLayout.uniform(2, *grid)
    x = normal(layout.num_nodes, 8)
    sources, pooled = NodeLayout.join([average_pool(m, pool) for m in layout.maps(x)])
    edges = KNNGraph(3, position=position)((sources, x), (pooled, layout))
    relative = position.bias(Grid(2, *grid))
    if relative is None:
        own = grid_places(*grid)
        of_keys = average_pool(own.view(1, *grid, 2), pool).reshape(-1, 2)
        relative = sincos_embedding(own, 8) @ sincos_embedding(of_keys, 8).T / 8
    expected = []
    nodes, keys = layout.grids[0].nodes, pooled.grids[0].nodes
    for image in range(2):
        queries = unit(x[image * nodes : (image + 1) * nodes])
        found = unit(sources[image * keys : (image + 1) * keys])
        distance = torch.cdist(queries, found).square() - 2 * relative
        expected.append(distance.argsort(dim=1)[:, :3] + image * keys)
    assert torch.equal(neighbors(edges, 3), torch.cat(expected))


def test_the_table_and_the_embeddings_find_the_same_neighbors_without_pooling():
    layout, x = NodeLayout.uniform(2, 4, 4), normal(32, 8)
    with_table = KNNGraph(4, position=RelativePosition(8, (4, 4)).double())
    without_table = KNNGraph(4, position=RelativePosition(8, (5, 5)).double())
    assert torch.equal(with_table(x, layout).as_tensor(), without_table(x, layout).as_tensor())


@every_backend
def test_the_module_gives_the_same_graph_with_every_backend(backend):
    layout, x = NodeLayout.from_sizes(SIZES), normal(50, 6)
    expected = KNNGraph(3, 2)(x, layout).as_tensor()
    assert torch.equal(KNNGraph(3, 2, backend=backend)(x, layout).as_tensor(), expected)


def test_the_module_is_stochastic_in_training_only():
    layout, x = NodeLayout.uniform(1, 5, 5), normal(25, 6)
    graph = KNNGraph(3, 4, stochastic=True, epsilon=1.0)
    expected = KNNGraph(3, 4)(x, layout).as_tensor()
    torch.manual_seed(0)
    assert any(not torch.equal(graph(x, layout).as_tensor(), expected) for _ in range(5))
    graph.eval()
    assert all(torch.equal(graph(x, layout).as_tensor(), expected) for _ in range(5))


def test_the_module_says_which_image_has_too_few_nodes():
    layout = NodeLayout.from_sizes([(4, 4), (2, 3)])
    with pytest.raises(ValueError, match="k=9 neighbors need at least 9 nodes, but an image of 2×3 nodes offers 6"):
        KNNGraph(9)(normal(22, 4), layout)
