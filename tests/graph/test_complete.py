"""The complete graph links all nodes of an image, and nothing else."""

import torch

from tests.graph.linked import LAYOUT, neighbors, of
from vig_pyg.graph import CompleteGraph, PointLayout
from vig_pyg.graph.complete import all_edges


def test_every_node_is_linked_to_all_of_its_image():
    edges = of(CompleteGraph())
    assert neighbors(edges, 3) == list(range(20))
    assert neighbors(edges, 25) == list(range(20, 40))
    assert neighbors(edges, 48) == list(range(40, 49))
    assert edges.size(1) == 20 * 20 * 2 + 9 * 9


def test_nodes_need_no_grid():
    batch = torch.tensor([0, 0, 0, 1, 1])
    edges = CompleteGraph()(torch.zeros(5, 2), batch)
    assert [neighbors(edges, node) for node in range(5)] == [[0, 1, 2]] * 3 + [[3, 4]] * 2
    assert torch.equal(all_edges(PointLayout(batch), torch.device("cpu")).as_tensor(), edges.as_tensor())


def test_grids_keep_their_edges():
    graph = CompleteGraph()
    assert of(graph) is of(graph, LAYOUT)
