"""The random graph, from the words that it is described by."""

import torch

from tests.graph.linked import LAYOUT, neighbors, of
from vig_pyg.graph import RandomGraph
from vig_pyg.graph.edges import edge_list


def test_random_neighbors_are_distinct_of_the_same_image_and_hold_the_node_itself():
    edges, images = of(RandomGraph(9)), LAYOUT.batch()
    for node in range(LAYOUT.num_nodes):
        found = neighbors(edges, node)
        assert len(set(found)) == 9 and node in found
        assert {int(images[other]) for other in found} == {int(images[node])}
    assert neighbors(edges, 3) == [n - 20 for n in neighbors(edges, 23)]


def test_a_seed_decides_which_and_nothing_else_does():
    state = torch.random.get_rng_state()
    first, same, other = (edge_list(of(RandomGraph(9, seed))) for seed in (1, 1, 2))
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)
