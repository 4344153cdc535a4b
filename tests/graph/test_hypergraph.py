"""The hypergraph, from memberships node by node, scikit-learn's clusters, and means written out."""

import pytest
import torch

from tests.kernels.clustered import clusters_by_sklearn, memberships_by_loops, normal, planted, same_partition, unit
from vig_pyg.graph import Hypergraph, NodeLayout, PointLayout
from vig_pyg.graph.edges import edge_list

SIZES = [20, 20, 9, 33]
GRID = NodeLayout.from_sizes([(4, 5), (4, 5), (3, 3), (3, 11)])


def points(sizes=SIZES, pos=None):
    return PointLayout(torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes)), pos)


def incidence(links, nodes):
    """Return which nodes belong to which hyperedges, ``[nodes, M]``, of the edges from these."""
    out = torch.zeros(nodes, len(links.sources), dtype=torch.bool)
    hyperedge, node = edge_list(links.adjacency)
    assert (node.diff() >= 0).all()
    out[node, hyperedge] = True
    assert out.sum() == len(node)  # no link twice
    return out


def by_definition(x, sizes, hyperedges, method, threshold=0.01):
    """Return which nodes belong to which hyperedges, a block for every graph."""
    blocks = []
    for rows in unit(x).split(sizes):
        if method == "kmeans":
            label, centers = clusters_by_sklearn(rows, hyperedges)
            blocks.append(label[:, None] == torch.arange(len(centers)))
        else:
            share = memberships_by_loops(rows, hyperedges, 15, 1.1)
            blocks.append((share > threshold) | (share == share.amax(1, keepdim=True)))
    return torch.block_diag(*blocks).bool()


@pytest.mark.parametrize("layout", [GRID, points()], ids=["grid", "points"])
@pytest.mark.parametrize(("method", "hyperedges"), [("fuzzy", 6), ("fuzzy", 25), ("kmeans", 6)])
def test_nodes_belong_to_hyperedges_that_are_the_means_of_their_nodes(layout, method, hyperedges):
    x = normal(sum(SIZES), 5)
    options = {"iterations": 300} if method == "kmeans" else {}
    links = Hypergraph(hyperedges, method, **options)(x, layout)
    expected = by_definition(x, SIZES, hyperedges, method)
    assert torch.equal(incidence(links, len(x)), expected)
    assert torch.equal(links.members.as_tensor().flip(0), expected.T.nonzero().T)
    counts = torch.tensor([min(hyperedges, size // 2) for size in SIZES])
    assert torch.equal(links.source_batch, torch.arange(4).repeat_interleave(counts))
    for j, hyperedge in enumerate(links.sources):
        torch.testing.assert_close(hyperedge, x[expected[:, j]].mean(0))
        if layout is GRID:
            place = layout.pos().double()[expected[:, j]].mean(0)
            torch.testing.assert_close(links.source_pos[j].double(), place)
    assert (links.source_pos is None) == (layout is not GRID)


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.9])
def test_a_threshold_decides_how_many_hyperedges_a_node_has(threshold):
    x = normal(sum(SIZES), 5)
    links = Hypergraph(6, threshold=threshold)(x, GRID)
    assert torch.equal(incidence(links, len(x)), by_definition(x, SIZES, 6, "fuzzy", threshold))
    assert incidence(links, len(x)).sum(1).min() >= 1


@pytest.mark.parametrize("method", ["fuzzy", "kmeans"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_planted_clusters_become_hyperedges(method, dtype):
    x, label = planted()
    links = Hypergraph(5, method)((3 * x).to(dtype), None)
    found = incidence(links, len(x))
    assert (found.sum(1) == 1).all() and same_partition(found.int().argmax(1), label)
    assert links.sources.dtype == dtype


def test_features_of_no_structure_keep_hyperedges_apart():
    links = Hypergraph()(normal(196, 192), None)
    found = incidence(links, 196)
    assert found.size(1) == 25 and found.sum(1).double().mean() < 10
    assert len(found.T.unique(dim=0)) == 25


def test_equal_nodes_are_one_hyperedge():
    for method in ("fuzzy", "kmeans"):
        links = Hypergraph(method=method)(torch.ones(12, 4), NodeLayout.uniform(1, 3, 4))
        assert torch.equal(links.sources, torch.ones(1, 4)) and links.source_pos.tolist() == [[2.0, 1.5]]


def test_features_receive_the_gradient_of_the_means():
    x = normal(20, 5).requires_grad_()
    links = Hypergraph(4)(x, None)
    weight = normal(*links.sources.shape, seed=2)
    (links.sources * weight).sum().backward()
    found = incidence(links, 20).double()
    torch.testing.assert_close(x.grad, (found / found.sum(0)) @ weight)


def test_places_of_points_are_means_as_well():
    pos = normal(sum(SIZES), 3)
    links = Hypergraph(4, "kmeans")(normal(len(pos), 5), points(pos=pos))
    found = incidence(links, len(pos))
    torch.testing.assert_close(links.source_pos[3], pos[found[:, 3]].mean(0))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"hyperedges": 0}, "hyperedges must be at least 1, got 0"),
        ({"method": "dbscan"}, "method must be one of fuzzy, kmeans, got 'dbscan'"),
        ({"threshold": 1.5}, "threshold is a probability between 0 and 1, got 1.5"),
        ({"fuzzifier": 1}, "fuzzifier must be above 1, got 1"),
        ({"iterations": -1}, "iterations must be at least 0, got -1"),
    ],
)
def test_options_that_make_no_sense_are_refused(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        Hypergraph(**wrong)


def test_pairs_of_sources_and_targets_are_refused():
    x = normal(9, 4)
    with pytest.raises(TypeError, match="x must be a matrix of nodes, got tuple"):
        Hypergraph()((x, x), None)
