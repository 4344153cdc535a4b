import torch
from torch_geometric.data import Batch
from torch_geometric.nn import SAGEConv

from vig_pyg.graph import ImageGraph, KNNGraph, NodeLayout, batch_graphs


def square_graphs():
    layout = NodeLayout.from_sizes([(2, 3), (3, 2)])
    x = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    return x, layout, KNNGraph(2)(x, layout)


def pooled_graphs():
    layout, pooled = NodeLayout.from_sizes([(4, 2), (2, 4)]), NodeLayout.from_sizes([(2, 1), (1, 2)])
    generator = torch.Generator().manual_seed(0)
    x, sources = torch.randn(16, 4, generator=generator), torch.randn(4, 4, generator=generator)
    return x, layout, KNNGraph(2)((sources, x), (pooled, layout)), pooled


def test_a_batch_has_the_nodes_and_edges_that_it_was_made_of():
    x, layout, edges = square_graphs()
    batch = batch_graphs(x, layout, edges, [(20, 30), (12, 8)])
    assert isinstance(batch, Batch)
    assert torch.equal(batch.x, x)
    assert torch.equal(batch.edge_index, edges.as_tensor())
    assert torch.equal(batch.batch, layout.batch())
    assert batch.grid.tolist() == [[2, 3], [3, 2]]


def test_positions_are_in_pixels_of_every_image():
    x, layout, edges = square_graphs()
    first, second = batch_graphs(x, layout, edges, [(20, 30), (12, 8)]).to_data_list()
    assert first.pos.tolist() == [[5, 5], [15, 5], [25, 5], [5, 15], [15, 15], [25, 15]]
    assert second.pos.tolist() == [[2, 2], [6, 2], [2, 6], [6, 6], [2, 10], [6, 10]]


def test_every_graph_of_the_batch_counts_its_own_nodes():
    x, layout, edges = square_graphs()
    graphs = batch_graphs(x, layout, edges, [(20, 30), (12, 8)]).to_data_list()
    alone = KNNGraph(2)(x[6:], NodeLayout.uniform(1, 3, 2))
    assert torch.equal(graphs[1].edge_index, alone.as_tensor())
    assert torch.equal(graphs[1].x, x[6:])


def test_edges_may_come_in_any_order():
    x, layout, edges = square_graphs()
    shuffled = edges.as_tensor()[:, torch.randperm(24, generator=torch.Generator().manual_seed(1))]
    for ours, theirs in zip(
        batch_graphs(x, layout, shuffled, [(20, 30), (12, 8)]).to_data_list(),
        batch_graphs(x, layout, edges, [(20, 30), (12, 8)]).to_data_list(),
        strict=True,
    ):
        assert set(zip(*ours.edge_index.tolist(), strict=True)) == set(zip(*theirs.edge_index.tolist(), strict=True))


def test_sources_and_targets_of_a_bipartite_batch_are_counted_apart():
    x, layout, edges, pooled = pooled_graphs()
    batch = batch_graphs(x, layout, edges, [(40, 20), (20, 40)], pooled)
    assert torch.equal(batch.edge_index, edges.as_tensor())
    first, second = batch.to_data_list()
    assert first.pos_source.tolist() == [[10, 10], [10, 30]]
    assert second.pos_source.tolist() == [[10, 10], [30, 10]]
    for graph in (first, second):
        assert isinstance(graph, ImageGraph)
        assert graph.edge_index[0].max() < 2
        assert graph.edge_index[1].max() == 7


def test_a_bipartite_batch_is_used_by_an_operator_of_pyg():
    x, layout, edges, pooled = pooled_graphs()
    batch = batch_graphs(x, layout, edges, [(40, 20), (20, 40)], pooled)
    sources = torch.randn(len(batch.pos_source), 4)
    assert SAGEConv(4, 5)((sources, batch.x), batch.edge_index).shape == (16, 5)


def test_image_graphs_without_sources_are_batched_like_plain_data():
    graphs = [ImageGraph(x=torch.randn(n, 2), edge_index=torch.tensor([[n - 1], [0]])) for n in (3, 2)]
    assert Batch.from_data_list(graphs).edge_index.tolist() == [[2, 4], [0, 3]]
