"""What graphs on axes share: slots, borders, and the distances of their edges."""

import pytest
import torch

from tests.graph.linked import LAYOUT, neighbors, of
from vig_pyg.graph.edges import edge_list
from vig_pyg.graph.layout import NodeLayout
from vig_pyg.graph.points import PointLayout
from vig_pyg.graph.shifts import ShiftGraph


class Steps(ShiftGraph):
    def __init__(self, *steps, wrap=True):
        super().__init__(wrap)
        self.given = list(steps)

    def steps(self, side):
        return self.given


def test_links_go_up_and_left_around_the_border():
    graph = Steps(1)
    assert neighbors(of(graph), 7) == [2, 6]  # row 1, column 2 of 4×5
    assert neighbors(of(graph), 0) == [4, 15]
    assert neighbors(of(graph), 40) == [42, 46]  # the first node of the third image, 3×3


def test_without_wrapping_they_end_there_and_go_both_ways():
    graph = Steps(1, wrap=False)
    assert neighbors(of(graph), 0) == [1, 5]
    assert neighbors(of(graph), 7) == [2, 6, 8, 12]


def test_what_ends_at_the_node_or_is_said_twice_is_left_out():
    assert Steps(4, 1, 5, 8).shifts(4) == [1]
    assert Steps(1, -3).shifts(4) == [1]
    assert Steps(1, 4, wrap=False).shifts(4) == [1, -1]
    assert neighbors(of(Steps(1, 6), NodeLayout.uniform(1, 1, 1)), 0) == []


@pytest.mark.parametrize("wrap", [True, False])
def test_distances_are_those_between_the_ends_of_edges(wrap):
    torch.manual_seed(0)
    x, graph = torch.randn(LAYOUT.num_nodes, 6, dtype=torch.float64), Steps(1, 2, -2, wrap=wrap)
    source, target = edge_list(graph(x, LAYOUT))
    torch.testing.assert_close(graph.distances(x, LAYOUT), (x[source] - x[target]).abs().sum(1))


def test_nodes_without_a_grid_are_refused_in_a_sentence():
    with pytest.raises(TypeError, match="Steps links places of a grid, and these nodes have none"):
        Steps(1)(torch.zeros(4, 2), PointLayout(num_nodes=4))
    with pytest.raises(TypeError, match="wrap"):
        Steps(1, wrap="yes")
