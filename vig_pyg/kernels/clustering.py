"""Clusters of rows of unit length, for a batch of point sets that are filled up to one size.

Nothing is drawn at random, and a point set is clustered as if it were alone: starts come from the points themselves,
and every step treats every set for itself. There are at most half as many clusters as points, lest each be one point,
and no more than different points: centers beyond that are given, but nothing belongs to them. Sums are products of
matrices, which on CUDA, unlike scattering, give the same each time.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def farthest_first(x: Tensor, there: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return points far from each other: the nearest to the mean, then in turn the farthest from all before it.

    Args:
        x: Points ``[B, N, C]``.
        there: Which are points, and not filled up, ``[B, N]``; one at least in every set.
        count: How many to choose.

    Shapes:
        - output: their numbers ``[B, M]``, ``M = min(count, N)``, and which are at no earlier one's place ``[B, M]``
    """
    mean = x.sum(1, keepdim=True) / there.sum(1).view(-1, 1, 1)
    apart = _distances(x, mean).masked_fill(~there, torch.inf)
    chosen, new = [apart.argmin(1)], [there.any(1)]
    apart = torch.where(there, torch.inf, -1.0).to(x.dtype)
    for _ in range(min(count, x.size(1)) - 1):
        last = x.gather(1, chosen[-1].view(-1, 1, 1).expand(-1, 1, x.size(2)))
        apart = torch.minimum(apart, _distances(x, last))
        farthest, place = apart.max(1)
        chosen.append(place)
        new.append(farthest > 0)
    return torch.stack(chosen, 1), torch.stack(new, 1)


def k_means(x: Tensor, there: Tensor, count: int, iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the cluster of every point by Lloyd's algorithm, from :func:`farthest_first` on.

    A center that lost all points stays where it was.

    Args:
        x: Points ``[B, N, C]``, zeros where filled up.
        there: Which are points, ``[B, N]``.
        count: How many clusters at most.
        iterations: How often centers move at most; no more do when no point of any set changes its cluster.

    Shapes:
        - output: clusters ``[B, N]``, centers ``[B, M, C]``, and how many points each has, ``[B, M]``
    """
    centers, new = _starts(x, there, count)
    own = nearest_center(x, centers, new)
    for _ in range(iterations):
        member = _members(own, there, centers)
        size = member.sum(1).unsqueeze(2)
        centers = torch.where(size > 0, (member.mT @ x) / size.clamp(min=1), centers)
        before, own = own, nearest_center(x, centers, new)
        if torch.equal(before, own):
            break
    return own, centers, _members(own, there, centers).sum(1).long()


def nearest_center(x: Tensor, centers: Tensor, may_be: Tensor) -> Tensor:
    """Return the nearest of the centers ``[B, M, C]`` that may be one ``[B, M]``, of every point, ``[B, N]``."""
    scores = x @ centers.mT - centers.square().sum(2).unsqueeze(1) / 2
    return scores.masked_fill(~may_be.unsqueeze(1), -torch.inf).argmax(2)


def fuzzy_c_means(x: Tensor, there: Tensor, count: int, iterations: int, fuzzifier: float) -> Tensor:
    r"""Return memberships by fuzzy c-means with the cosine distance, from :func:`farthest_first` on.

    With :math:`d_{ij} = 1 - \cos(x_i, c_j)` and the fuzzifier ``m``,

    .. math::
        u_{ij} = \frac{d_{ij}^{-1 / (m - 1)}}{\sum_l d_{il}^{-1 / (m - 1)}}, \qquad
        c_j = \frac{\sum_i u_{ij}^m x_i}{\lVert \sum_i u_{ij}^m x_i \rVert}

    (Bezdek, 1981; centers on the sphere as in Dhillon and Modha's spherical k-means, 2001).

    Args:
        x: Points ``[B, N, C]`` of length one, zeros where filled up.
        there: Which are points, ``[B, N]``.
        count: How many clusters at most.
        iterations: How often centers move.
        fuzzifier: ``m``, above 1. The nearer to 1, the crisper.

    Shapes:
        - output: ``[B, N, M]``, rows that sum to 1
    """
    centers, new = _starts(x, there, count)
    tiny = torch.finfo(x.dtype)
    for step in range(iterations + 1):
        apart = (1 - x @ centers.mT).clamp(min=tiny.eps)
        powers = (apart.log() / (1 - fuzzifier)).masked_fill(~new.unsqueeze(1), -torch.inf)
        memberships = powers.softmax(2)
        if step < iterations:
            weight = memberships**fuzzifier * there.unsqueeze(2)
            weight = weight / weight.sum(1, keepdim=True).clamp(min=tiny.tiny)
            centers = F.normalize(weight.mT @ x, dim=2)
    return memberships


def _starts(x: Tensor, there: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the points to start from, ``[B, M, C]``, and which of them are to be used, ``[B, M]``."""
    place, new = farthest_first(x, there, min(count, max(1, x.size(1) // 2)))
    half = (there.sum(1, keepdim=True) // 2).clamp(min=1)
    within = torch.arange(place.size(1), device=x.device) < half
    return x.gather(1, place.unsqueeze(2).expand(-1, -1, x.size(2))), new & within


def _members(own: Tensor, there: Tensor, centers: Tensor) -> Tensor:
    """Return 1 where a point is in a cluster, ``[B, N, M]``, in the type of the centers."""
    return F.one_hot(own, centers.size(1)).to(centers.dtype) * there.unsqueeze(2)


def _distances(x: Tensor, center: Tensor) -> Tensor:
    """Return how far points are from one, ``[B, N]``: exactly zero from an equal one."""
    return torch.cdist(x, center, compute_mode="donot_use_mm_for_euclid_dist").squeeze(2)
