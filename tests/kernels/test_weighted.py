"""The maximum of weighted differences, beside its definition with one row per edge."""

import pytest
import torch

from vig_pyg.kernels import neighbor_weighted_max, weighted


def example(sources=30, targets=20, k=4, channels=5, dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    x, center = torch.randn(sources, channels, dtype=dtype), torch.randn(targets, channels, dtype=dtype)
    weight, index = torch.rand(targets, k, dtype=dtype), torch.randint(sources, (targets, k))
    return x.requires_grad_(), index, weight.requires_grad_(), center.requires_grad_()


def defined(x, index, weight, center):
    return ((x[index] - center[:, None]) * weight[..., None]).amax(1)


@pytest.mark.parametrize("block", [1, 50, 1 << 17])  # one row at a time, blocks that do not divide, all at once
@pytest.mark.parametrize("seed", range(3))
def test_values_and_gradients_are_those_of_the_definition(seed, block, monkeypatch):
    monkeypatch.setattr(weighted, "BLOCK", block)
    x, index, weight, center = example(seed=seed)
    found, expected = neighbor_weighted_max(x, index, weight, center), defined(x, index, weight, center)
    torch.testing.assert_close(found, expected)
    grad, inputs = torch.randn_like(found), [x, weight, center]
    ours, theirs = torch.autograd.grad(found, inputs, grad), torch.autograd.grad(expected, inputs, grad)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)
    with torch.no_grad():
        assert torch.equal(neighbor_weighted_max(x, index, weight, center), found)


def test_one_neighbor_and_a_weight_of_zero():
    x, index, weight, center = example(k=1)
    torch.testing.assert_close(neighbor_weighted_max(x, index, weight, center), defined(x, index, weight, center))
    none = neighbor_weighted_max(x, index, torch.zeros_like(weight), center)
    assert none.abs().max() == 0


def test_more_neighbors_than_a_byte_numbers_have_their_gradients():
    x, index, weight, center = example(k=300)
    found, expected = (f(x, index, weight, center) for f in (neighbor_weighted_max, defined))
    torch.testing.assert_close(found, expected)
    ours, theirs = (torch.autograd.grad(out.square().sum(), [x, weight, center]) for out in (found, expected))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


def test_compiled_code_gives_the_same():
    x, index, weight, center = example()
    compiled = torch.compile(neighbor_weighted_max, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, index, weight, center), defined(x, index, weight, center))
