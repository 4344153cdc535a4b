"""The gated graph: links at powers of two, and their weights."""

import pytest
import torch

from tests.graph.linked import neighbors
from vig_pyg.graph import GatedGraph, NodeLayout
from vig_pyg.graph.edges import edge_list

LAYOUT = NodeLayout.from_sizes([(9, 8), (5, 7)])


def test_links_are_the_step_and_the_powers_of_two_on_each_axis():
    edges = GatedGraph(3)(torch.zeros(LAYOUT.num_nodes, 2), LAYOUT).adjacency
    row, column = 8, 0
    expected = {((row - far) % 9, column) for far in (3, 2, 4, 8)} | {(row, (column - far) % 8) for far in (3, 2, 4)}
    assert {divmod(node, 8) for node in neighbors(edges, row * 8 + column)} == expected


@pytest.mark.parametrize("wrap", [True, False])
def test_weights_are_one_at_the_step_and_fall_with_the_distance_elsewhere(wrap):
    torch.manual_seed(0)
    x, graph = torch.randn(LAYOUT.num_nodes, 4, dtype=torch.float64), GatedGraph(2, wrap).double()
    with torch.no_grad():
        graph.temperature.fill_(-3.0)
    edges, weight = graph(x, LAYOUT)[:2]
    source, target = edge_list(edges)
    gate = torch.exp(-(x[source] - x[target]).abs().sum(1) / (3 + 1e-6))
    places = LAYOUT.pos() - 0.5
    sides = torch.tensor([size for size in LAYOUT.sizes for _ in range(size[0] * size[1])]).flip(1)
    moved = (places[target] - places[source]).long()
    apart = (moved % sides[target] if wrap else moved.abs()).sum(1)
    torch.testing.assert_close(weight, torch.where(apart == 2, 1.0, gate))
    assert (weight < 1).any()


def test_the_temperature_learns_through_the_weights():
    torch.manual_seed(1)
    x, graph = torch.randn(72, 4, dtype=torch.float64, requires_grad=True), GatedGraph(2).double()
    layout = NodeLayout.uniform(1, 9, 8)

    def total(x, temperature):
        return torch.func.functional_call(graph, {"temperature": temperature}, (x, layout)).weight

    temperature = torch.tensor(5.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(total, (x, temperature))
