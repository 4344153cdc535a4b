"""The greedy graph, edge by edge from its definition."""

import pytest
import torch

from tests.graph.linked import neighbors
from vig_pyg.graph import GreedyGraph, NodeLayout
from vig_pyg.graph.greedy import distance_limit

LAYOUT = NodeLayout.from_sizes([(6, 8), (6, 8), (5, 7)])


def defined(image, step):
    """Return, for every node ``(row, column)`` of ``[H, W, C]``, the nodes that it is linked to."""
    height, width, _ = image.shape
    apart = [
        (image[r, c] - image[(r - -(-height // 2)) % height, (c - -(-width // 2)) % width]).abs().sum()
        for r in range(height)
        for c in range(width)
    ]
    apart = torch.stack(apart)
    limit = apart.mean() - apart.std()
    links = {}
    for r in range(height):
        for c in range(width):
            candidates = [((r - far) % height, c) for far in range(step, height, step)]
            candidates += [(r, (c - far) % width) for far in range(step, width, step)]
            links[r, c] = {q for q in candidates if (image[r, c] - image[q]).abs().sum() < limit}
    return links


@pytest.mark.parametrize("step", [1, 2, 4])
def test_candidates_nearer_than_mean_less_deviation_are_kept(step):
    torch.manual_seed(0)
    x = torch.randn(LAYOUT.num_nodes, 2, dtype=torch.float64)
    edges, first, total = GreedyGraph(step)(x, LAYOUT), 0, 0
    for height, width in LAYOUT.sizes:
        for (r, c), expected in defined(x[first : first + height * width].view(height, width, -1), step).items():
            found = {divmod(node - first, width) for node in neighbors(edges, first + r * width + c)}
            assert found == expected
            total += len(expected)
        first += height * width
    assert 0 < total == edges.size(1) < GreedyGraph(step).candidates(x, LAYOUT).size(1)


def test_the_same_image_has_the_same_graph_alone_and_in_any_batch():
    torch.manual_seed(1)
    images, graph = torch.randn(3, 48, 16), GreedyGraph(2)
    together = graph(images.flatten(0, 1), NodeLayout.uniform(3, 6, 8)).as_tensor()
    for number, image in enumerate(images):
        alone = graph(image, NodeLayout.uniform(1, 6, 8)).as_tensor()
        assert torch.equal(together[:, together[1] // 48 == number] - 48 * number, alone)


def test_an_image_of_one_node_has_no_links_and_one_of_alike_nodes_neither():
    assert GreedyGraph(1)(torch.randn(2, 3), NodeLayout.uniform(2, 1, 1)).size(1) == 0
    assert GreedyGraph(1)(torch.ones(48, 3), NodeLayout.uniform(1, 6, 8)).size(1) == 0
    assert distance_limit(torch.zeros(2, 1, 1, 3)).tolist() == [0, 0]
