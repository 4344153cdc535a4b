import torch

from vig_pyg.graph import NodeLayout
from vig_pyg.graph.edges import edge_list
from vig_pyg.study.graphs import grid_graph, random_graph

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
