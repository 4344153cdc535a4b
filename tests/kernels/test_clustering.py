"""Clusters beside scikit-learn's and beside loops over every point and center."""

import pytest
import torch

from tests.kernels.clustered import (
    clusters_by_sklearn,
    memberships_by_loops,
    normal,
    planted,
    same_partition,
    starts_by_loops,
    unit,
)
from vig_pyg.kernels.clustering import farthest_first, fuzzy_c_means, k_means, nearest_center


def alone(x):
    return x.unsqueeze(0), torch.ones(1, len(x), dtype=torch.bool)


def filled(*sets):
    x = torch.nn.utils.rnn.pad_sequence(list(sets), batch_first=True)
    return x, torch.arange(x.size(1)) < torch.tensor([len(s) for s in sets]).unsqueeze(1)


@pytest.mark.parametrize("seed", range(5))
def test_the_first_points_are_far_from_each_other(seed):
    x = unit(normal(30, 8, seed=seed))
    chosen, new = farthest_first(*alone(x), 7)
    assert chosen[0].tolist() == starts_by_loops(x, 7) and new.all()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("iterations", [1, 3, 300])
def test_k_means_is_scikit_learns_from_the_same_starts(seed, iterations):
    x = unit(normal(60, 6, seed=seed))
    own, centers, size = k_means(*alone(x), 5, iterations)
    labels, expected = clusters_by_sklearn(x, 5, iterations)
    torch.testing.assert_close(centers[0], expected)
    assert torch.equal(own[0], labels) and torch.equal(size[0], labels.bincount(minlength=5))


@pytest.mark.parametrize(("iterations", "fuzzifier"), [(0, 1.1), (1, 2.0), (6, 1.1), (6, 1.5)])
def test_memberships_are_those_of_the_formula(iterations, fuzzifier):
    x = unit(normal(25, 6, seed=3))
    found = fuzzy_c_means(*alone(x), 4, iterations, fuzzifier)[0]
    torch.testing.assert_close(found, memberships_by_loops(x, 4, iterations, fuzzifier))
    torch.testing.assert_close(found.sum(1), torch.ones(25, dtype=torch.double))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(3))
def test_planted_clusters_are_found(dtype, seed):
    x, label = planted(seed=seed)
    x = x.to(dtype)
    assert same_partition(k_means(*alone(x), 5, 25)[0][0], label)
    memberships = fuzzy_c_means(*alone(x), 5, 15, 1.1)[0]
    assert same_partition(memberships.argmax(1), label) and memberships.amax(1).min() > 0.9


def test_centers_of_wide_features_do_not_end_in_one_place():
    x = unit(normal(196, 192))
    crisp, soft = (fuzzy_c_means(*alone(x), 25, 15, fuzzifier)[0] for fuzzifier in (1.1, 2.0))
    assert crisp.amax(1).mean() > 0.5 and len(crisp.argmax(1).unique()) == 25
    assert soft.amax(1).mean() < 0.25  # the fuzzifier that is usual elsewhere tells nothing apart


def test_a_set_is_clustered_as_if_it_were_alone():
    sets = [unit(normal(n, 6, seed=n)) for n in (40, 7, 23, 2, 1)]
    x, there = filled(*sets)
    own, centers, size = k_means(x, there, 6, 50)
    memberships = fuzzy_c_means(x, there, 6, 10, 1.1)
    for i, points in enumerate(sets):
        count = size[i].count_nonzero()
        expected, expected_centers, expected_size = k_means(*alone(points), 6, 50)
        assert torch.equal(own[i, : len(points)], expected[0]) and torch.equal(size[i, :count], expected_size[0])
        torch.testing.assert_close(centers[i, :count], expected_centers[0])
        found = memberships[i, : len(points)]
        torch.testing.assert_close(found[:, :count], fuzzy_c_means(*alone(points), 6, 10, 1.1)[0])
        assert (found[:, count:] == 0).all()


@pytest.mark.parametrize(("points", "clusters"), [(1, 1), (2, 1), (3, 1), (5, 2), (12, 6), (40, 6)])
def test_there_are_at_most_half_as_many_clusters_as_points(points, clusters):
    x = unit(normal(points, 6))
    assert len(k_means(*alone(x), 6, 10)[0].unique()) == clusters
    assert fuzzy_c_means(*alone(x), 6, 10, 1.1).size(2) == clusters


def test_equal_points_are_one_cluster():
    x = unit(normal(2, 5)).repeat_interleave(6, 0)
    assert k_means(*alone(x), 5, 10)[0].unique().numel() == 2
    memberships = fuzzy_c_means(*alone(x), 5, 10, 1.1)[0]
    assert (memberships.amax(0) > 0.5).sum() == 2 and (memberships[:, 2:] == 0).all()
    assert torch.equal(k_means(*alone(torch.zeros(6, 3)), 3, 10)[0], torch.zeros(1, 6, dtype=torch.long))


def test_a_center_that_may_not_be_one_is_nobodys():
    x, centers = normal(1, 20, 4), normal(1, 3, 4, seed=1)
    found = nearest_center(x, centers, torch.tensor([[True, False, True]]))[0]
    assert torch.equal(found, 2 * torch.cdist(x, centers[:, ::2])[0].argmin(1))
