import pytest
import torch
import torch_cluster
from scipy.spatial import cKDTree

from tests.kernels.test_search import best_by_sorting, normal, unit
from vig_pyg.kernels.trees import nearest_cluster, nearest_kdtree

trees = pytest.mark.parametrize("nearest", [nearest_cluster, nearest_kdtree])


@trees
@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("loop", [True, False])
def test_neighbors_are_those_of_sorted_distances(nearest, k, loop):
    points = unit(normal(2, 9, 4))
    scores = points @ points.transpose(1, 2)
    if not loop:
        scores.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    assert torch.equal(nearest(points, points, k, loop=loop, num_workers=2), best_by_sorting(scores, k))


def test_the_search_equals_torch_cluster_on_one_image():
    keys, queries = normal(1, 30, 3), normal(1, 11, 3, seed=1)
    target, source = torch_cluster.knn(keys[0], queries[0], 5)
    assert torch.equal(target.view(11, 5), torch.arange(11).view(-1, 1).expand(-1, 5))
    assert torch.equal(nearest_cluster(queries, keys, 5)[0], source.view(11, 5))


@trees
def test_a_tree_keeps_images_apart(nearest):
    keys, queries = normal(3, 8, 3), normal(3, 5, 3, seed=1)
    together = nearest(queries, keys, 4)
    for image in range(3):
        assert torch.equal(together[image], nearest(queries[image, None], keys[image, None], 4)[0])


@trees
def test_a_tree_without_loops_leaves_the_node_out_among_equal_points(nearest):
    points = torch.zeros(1, 6, 2)
    found = nearest(points, points, 3, loop=False)[0]
    assert not (found == torch.arange(6).view(-1, 1)).any()
    assert all(len(set(row)) == 3 for row in found.tolist())


@trees
def test_a_tree_finds_all_others_where_the_node_alone_is_left_out(nearest):
    points = normal(1, 4, 2)
    found = nearest(points, points, 3, loop=False)[0]
    assert [sorted(row) for row in found.tolist()] == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_a_kdtree_is_that_of_scipy():
    keys, queries = normal(1, 30, 3).float(), normal(1, 11, 3, seed=1).float()
    expected = cKDTree(keys[0].numpy()).query(queries[0].numpy(), 5)[1]
    assert nearest_kdtree(queries, keys, 5)[0].tolist() == expected.tolist()


def test_a_kdtree_is_on_the_cpu():
    with pytest.raises(ValueError, match="backend='kdtree' needs points on the CPU, got meta: use 'dense'"):
        nearest_kdtree(torch.empty(1, 3, 2, device="meta"), torch.empty(1, 3, 2, device="meta"), 1)
