"""The grid, from the words that it is described by."""

import pytest
import torch

from tests.graph.linked import neighbors, of
from vig_pyg.graph import GridGraph, NodeLayout
from vig_pyg.graph.edges import edge_list


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
