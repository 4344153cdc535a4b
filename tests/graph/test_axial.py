"""The fixed graphs on axes, from the words of their papers."""

import pytest
import torch

import vig_pyg
from tests.graph.linked import neighbors
from vig_pyg.graph import AxialGraph, CrossGraph, LogGraph, NodeLayout

GRID = NodeLayout.uniform(2, 7, 8)


def linked(graph, row, column, layout=GRID):
    """Return the rows and columns that a node of the second image is linked to."""
    height, width = layout.sizes[1]
    first = height * width
    found = neighbors(graph(torch.zeros(layout.num_nodes, 2), layout), first + row * width + column)
    return {divmod(node - first, width) for node in found}


@pytest.mark.parametrize("step", [1, 2, 3, 8])
def test_axial_links_every_so_manyth_of_the_own_row_and_column(step):
    for row, column in ((0, 0), (3, 5), (6, 7)):
        expected = {((row - far) % 7, column) for far in range(step, 7, step)}
        expected |= {(row, (column - far) % 8) for far in range(step, 8, step)}
        assert linked(AxialGraph(step), row, column) == expected


def test_axial_without_wrapping_links_both_ways():
    assert linked(AxialGraph(3, wrap=False), 1, 4) == {(4, 4), (1, 1), (1, 7)}


def test_cross_links_four():
    assert linked(CrossGraph(2), 1, 7) == {(6, 7), (3, 7), (1, 5), (1, 1)}
    assert linked(CrossGraph(2, wrap=False), 1, 7) == {(3, 7), (1, 5)}
    assert linked(CrossGraph(7), 3, 3) == {(3, 2), (3, 4)}  # no links on an axis of seven nodes


def test_log_links_at_one_less_than_powers():
    assert linked(LogGraph(2), 0, 0) == {(1, 0), (6, 0), (3, 0), (4, 0), (0, 1), (0, 7), (0, 3), (0, 5)}
    assert linked(LogGraph(3), 3, 3, NodeLayout.uniform(2, 7, 7)) == {(1, 3), (5, 3), (3, 1), (3, 5)}
    sides = NodeLayout.uniform(2, 56, 56)
    far = {by for step in (1, 3, 7, 15, 31) for by in (step, 56 - step)}
    assert linked(LogGraph(2), 0, 0, sides) == {(by, 0) for by in far} | {(0, by) for by in far}


def test_they_are_found_by_name_and_refuse_what_is_no_step():
    kinds = {"axial": AxialGraph, "cross": CrossGraph, "log": LogGraph}
    assert {name: type(vig_pyg.build_graph(name)) for name in kinds} == kinds
    assert vig_pyg.build_graph("axial", step=4).step == 4
    for graph in (AxialGraph, CrossGraph):
        with pytest.raises(ValueError, match="step must be at least 1, got 0"):
            graph(0)
    with pytest.raises(ValueError, match="base must be at least 2, got 1"):
        LogGraph(1)
