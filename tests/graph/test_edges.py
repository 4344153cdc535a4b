"""Edges in every form that PyG knows, as lists and in compressed form."""

import pytest
import torch
from torch_geometric import EdgeIndex
from torch_geometric.utils import to_torch_coo_tensor, to_torch_csr_tensor

from vig_pyg.graph import compressed, edges_from_neighbors
from vig_pyg.graph.edges import check_range, edge_list, edges_from_list

LIST = torch.tensor([[3, 0, 1, 0], [2, 0, 2, 2]])  # four sources, three targets


@pytest.mark.parametrize(
    "form",
    [
        lambda: edges_from_list(LIST, 4, 3),
        lambda: EdgeIndex(LIST[:, LIST[1].argsort(stable=True)], sparse_size=(4, 3), sort_order="col"),
        lambda: to_torch_csr_tensor(LIST.flip(0), size=(3, 4)),
        lambda: to_torch_coo_tensor(LIST.flip(0), size=(3, 4)),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
def test_the_neighbors_of_every_target_are_found_in_every_form(form):
    edges = form()
    ptr, index, max_degree = compressed(edges)
    assert ptr.tolist() == [0, 1, 1, 4] and max_degree == 3
    assert index[:1].tolist() == [0] and sorted(index[1:].tolist()) == [0, 1, 3]
    assert sorted(edge_list(edges).T.tolist()) == sorted(LIST.T.tolist())


def test_a_graph_without_edges_has_no_neighbors():
    ptr, index, max_degree = compressed(edges_from_list(LIST[:, :0], 4, 3))
    assert ptr.tolist() == [0, 0, 0, 0] and index.numel() == max_degree == 0


def test_neighbors_become_edges_in_their_order():
    edges = edges_from_neighbors(torch.tensor([[2, 0], [1, 2]]), 3)
    assert edge_list(edges).tolist() == [[2, 0, 1, 2], [0, 0, 1, 1]]
    assert [part.tolist() for part in compressed(edges)[:2]] == [[0, 2, 4], [2, 0, 1, 2]]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [((3, 3), "an edge has source 3, but there are 3 source nodes, 0 to 2"), ((4, 2), "an edge has target 2")],
)
def test_an_edge_that_points_outside_is_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        edges_from_list(LIST, *sizes)


def test_edges_that_are_not_sorted_as_they_say_are_refused():
    with pytest.raises(ValueError, match="sort_order='col', but falls at position 1: leave it out"):
        check_range(EdgeIndex(LIST, sparse_size=(4, 3), sort_order="col"), (4, 3))
