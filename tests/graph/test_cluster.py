"""The graph of neighbors within clusters, from scikit-learn's clusters and distances node by node."""

import pytest
import torch

from tests.kernels.clustered import clusters_by_sklearn, normal, planted, unit
from vig_pyg.graph import ClusterGraph, NodeLayout, PointLayout
from vig_pyg.graph.edges import edge_list

SIZES = [20, 20, 9, 33]


def batch_of(sizes):
    return torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))


def by_definition(x, sizes, k, clusters):
    """Return for every node the k nearest of its cluster, or all of them, the nearest first."""
    found, first = [], 0
    for points in unit(x).split(sizes):
        label, _ = clusters_by_sklearn(points, clusters)
        for node, point in enumerate(points):
            apart = {other: (points[other] - point).norm().item() for other in range(len(points))}
            own = [other for other in apart if label[other] == label[node]]
            found.append([first + other for other in sorted(own, key=lambda n: apart[n])[:k]])
        first += len(points)
    return found


def lists(edges, count):
    source, target = edge_list(edges)
    assert (target.diff() >= 0).all()
    return [source[target == node].tolist() for node in range(count)]


@pytest.mark.parametrize(("k", "clusters"), [(4, 4), (9, 3), (50, 2), (3, 1)])
def test_neighbors_are_the_nearest_of_the_same_cluster(k, clusters):
    x = normal(sum(SIZES), 5, seed=k)
    graph = ClusterGraph(k, clusters, 300)
    expected = by_definition(x, SIZES, k, clusters)
    edges = graph(x, PointLayout(batch_of(SIZES)))
    assert lists(edges, len(x)) == expected
    assert edges.max_degree == k and edges.sparse_size() == (len(x), len(x))
    grid = NodeLayout.from_sizes([(4, 5), (4, 5), (3, 3), (3, 11)])
    assert lists(graph(x, grid), len(x)) == expected and lists(graph(x, batch_of(SIZES)), len(x)) == expected


def test_a_node_is_its_own_first_neighbor():
    x = normal(40, 6)
    assert [found[0] for found in lists(ClusterGraph(3)(x, None), 40)] == list(range(40))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_planted_clusters_keep_to_themselves(dtype):
    x, label = planted((12, 9, 7, 10), noise=0.3)
    source, target = edge_list(ClusterGraph(30)((3 * x).to(dtype), None))
    pairs = {(i, j) for i in range(len(x)) for j in range(len(x)) if label[i] == label[j]}
    assert set(zip(source.tolist(), target.tolist(), strict=True)) == pairs and len(source) == len(pairs)


def test_among_pooled_nodes_a_node_chooses_from_the_cluster_whose_center_is_nearest():
    sizes, pooled = [24, 30], [10, 12]
    x, y = normal(sum(sizes), 5), normal(sum(pooled), 5, seed=1)
    edges = ClusterGraph(4, 3, 300)((y, x), (PointLayout(batch_of(pooled)), PointLayout(batch_of(sizes))))
    assert edges.sparse_size() == (22, 54)
    expected, first = [], 0
    for nodes, sources in zip(unit(x).split(sizes), unit(y).split(pooled), strict=True):
        label, centers = clusters_by_sklearn(sources, 3)
        for node in nodes:
            own = (centers - node).norm(dim=1).argmin()
            near = sorted((label == own).nonzero().flatten().tolist(), key=lambda s: (sources[s] - node).norm().item())
            expected.append([first + source for source in near[:4]])
        first += len(sources)
    assert lists(edges, 54) == expected


@pytest.mark.parametrize(("name", "value"), [("k", 0), ("clusters", 0), ("iterations", -1)])
def test_options_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be at least"):
        ClusterGraph(**{name: value})
