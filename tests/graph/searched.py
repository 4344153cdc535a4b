"""What tests of searches share: points, and their neighbors by brute force."""

import pytest
import torch
from hypothesis import settings

BACKENDS = ["auto", "dense", "blockwise", "kdtree", "torch_cluster"]
every_backend = pytest.mark.parametrize("backend", BACKENDS)
drawn = settings(max_examples=25, deadline=None, derandomize=True)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


def unit(x):
    return x / x.norm(dim=1, keepdim=True)


def batch_of(sizes):
    return torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))


def neighbors(edges, k):
    """The neighbors of every target in the order of the edges, ``[targets, k]``."""
    source, target = edges.as_tensor()
    target = target.view(-1, k)
    assert torch.equal(target, torch.arange(len(target)).view(-1, 1).expand(-1, k))
    return source.view(-1, k)


def brute_force(x, y, k, dilation=1, loop=True, position=None, position_y=None):
    distance = torch.cdist(y, x).square()
    if position is not None:
        distance = distance - 2 * position_y @ position.T
    if not loop:
        distance.fill_diagonal_(torch.inf)
    candidates = len(x) - (not loop)
    dilation = min(dilation, candidates // k)
    return distance.sort(dim=1, stable=True).indices[:, : k * dilation : dilation]
