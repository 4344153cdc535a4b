"""What tests of clusters share: points, and clusters of them by loops over every point and center."""

import math

import numpy as np
import torch
from sklearn.cluster import KMeans


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def planted(per_cluster=(9, 4, 12, 6, 5), channels=32, noise=0.4, seed=0):
    """Return points of length one about random directions, mixed, and which direction each is of."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(len(per_cluster)).repeat_interleave(torch.tensor(per_cluster))
    label = label[torch.randperm(len(label), generator=generator)]
    ways = unit(torch.randn(len(per_cluster), channels, dtype=torch.double, generator=generator))
    apart = torch.randn(len(label), channels, dtype=torch.double, generator=generator) / channels**0.5
    return unit(ways[label] + noise * apart), label


def same_partition(first, second):
    """Return whether two labelings put the same points together."""
    return torch.equal(first[:, None] == first, second[:, None] == second)


def starts_by_loops(points, count):
    """The point nearest to the mean, then the farthest from all before; at most half as many as points."""
    points = [np.array(p) for p in points.tolist()]
    mean = sum(points) / len(points)
    chosen = [min(range(len(points)), key=lambda i: math.dist(points[i], mean))]
    while len(chosen) < min(count, max(1, len(points) // 2)):
        nearest = [min(math.dist(p, points[c]) for c in chosen) for p in points]
        if max(nearest) == 0:
            break
        chosen.append(nearest.index(max(nearest)))
    return chosen


def clusters_by_sklearn(points, count, iterations=300):
    """Lloyd's algorithm of another library, from the same starts."""
    starts = points[starts_by_loops(points, count)].numpy()
    found = KMeans(len(starts), init=starts, n_init=1, max_iter=iterations, tol=0).fit(points.numpy())
    return torch.from_numpy(found.labels_).long(), torch.from_numpy(found.cluster_centers_)


def memberships_by_loops(points, count, iterations, fuzzifier):
    """Fuzzy c-means with the cosine distance, point by point."""
    rows = [np.array(p) for p in points.tolist()]
    centers = [rows[i] for i in starts_by_loops(points, count)]
    for step in range(iterations + 1):
        shares = []
        for row in rows:
            near = [max(1 - float(row @ center), 2.0**-52) ** (-1 / (fuzzifier - 1)) for center in centers]
            shares.append([value / sum(near) for value in near])
        if step == iterations:
            return torch.tensor(shares, dtype=torch.double)
        for j in range(len(centers)):
            total = sum(share[j] ** fuzzifier * row for share, row in zip(shares, rows, strict=True))
            centers[j] = total / math.sqrt(float(total @ total))
