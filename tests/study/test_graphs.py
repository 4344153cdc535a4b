import pytest
import torch

from vig_pyg.graph import NodeLayout
from vig_pyg.graph.edges import edge_list
from vig_pyg.study.graphs import GRAPHS, grid_graph, random_graph

LAYOUT = NodeLayout.from_sizes([(4, 5), (4, 5), (3, 3)])


def neighbours(edges, node: int) -> list[int]:
    source, target = edge_list(edges)
    return sorted(source[target == node].tolist())


def test_inside_the_grid_the_neighbours_are_the_window_of_3_by_3() -> None:
    edges = grid_graph(torch.zeros(LAYOUT.num_nodes, 2), LAYOUT)
    inner = 20 + 1 * 5 + 2  # row 1, column 2 of the second image
    assert neighbours(edges, inner) == sorted(inner + 5 * row + column for row in (-1, 0, 1) for column in (-1, 0, 1))
    assert neighbours(edges, 40) == list(range(40, 49))


def test_random_neighbours_are_distinct_of_the_same_image_and_hold_the_node_itself() -> None:
    edges = random_graph(torch.zeros(LAYOUT.num_nodes, 2), LAYOUT)
    images = LAYOUT.batch()
    for node in range(LAYOUT.num_nodes):
        found = neighbours(edges, node)
        assert len(set(found)) == 9 and node in found
        assert {int(images[other]) for other in found} == {int(images[node])}
    assert neighbours(edges, 3) == [n - 20 for n in neighbours(edges, 23)]


@pytest.mark.parametrize("graph", GRAPHS.values())
def test_edges_made_where_nothing_is_computed_serve_for_computing(graph) -> None:
    layout = NodeLayout.uniform(7, 6, 5)
    with torch.device("meta"):
        assert graph(torch.zeros(layout.num_nodes, 2), layout).is_meta
    assert edge_list(graph(torch.zeros(layout.num_nodes, 2), layout)).max() == layout.num_nodes - 1


@pytest.mark.parametrize("graph", GRAPHS.values())
def test_pooled_nodes_are_refused_in_a_sentence(graph) -> None:
    layouts = NodeLayout.uniform(1, 2, 2), NodeLayout.uniform(1, 4, 4)
    with pytest.raises(ValueError, match="pools"):
        graph((torch.zeros(4, 2), torch.zeros(16, 2)), layouts)
