"""Products in heads against torch's grouped convolution."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vig_pyg.kernels.grouped_linear import grouped_linear, paired_grouped_linear

NODES, CHANNELS, OUT = 7, 12, 24


def grouped(x: Tensor, weight: Tensor, bias: Tensor | None, heads: int) -> Tensor:
    return F.conv1d(x.unsqueeze(2), weight.unsqueeze(2), bias, groups=heads).squeeze(2)


def arguments(heads: int, width: int = CHANNELS) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(heads)
    shapes = (NODES, CHANNELS), (OUT, width // heads), (OUT,)
    x, weight, bias = (torch.randn(s, generator=generator, dtype=torch.float64, requires_grad=True) for s in shapes)
    return x, weight, bias


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("with_bias", [True, False])
def test_heads_are_the_groups_of_a_convolution(heads, with_bias):
    x, weight, bias = arguments(heads)
    bias = bias if with_bias else None
    torch.testing.assert_close(grouped_linear(x, weight, bias, heads), grouped(x, weight, bias, heads))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_pairs_are_interleaved_channels(heads):
    x, weight, bias = arguments(heads, 2 * CHANNELS)
    y = x.detach().flip(0).requires_grad_()
    interleaved = torch.stack([x, y], dim=2).flatten(1)
    out, definition = paired_grouped_linear(x, y, weight, bias, heads), grouped(interleaved, weight, bias, heads)
    torch.testing.assert_close(out, definition)
    inputs = (x, y, weight, bias)
    grads = torch.autograd.grad(out.square().sum(), inputs)
    torch.testing.assert_close(grads, torch.autograd.grad(definition.square().sum(), inputs))


def test_gradients_of_gradients_are_right():
    x, weight, bias = arguments(4, 2 * CHANNELS)
    y = torch.randn_like(x, requires_grad=True)
    call = lambda *inputs: paired_grouped_linear(*inputs, heads=4)  # noqa: E731
    assert torch.autograd.gradcheck(call, (x, y, weight, bias))
    assert torch.autograd.gradgradcheck(call, (x, y, weight, bias))


def test_only_what_is_wanted_gets_a_gradient():
    x, weight, bias = arguments(4)
    grouped_linear(x.detach(), weight, bias, 4).sum().backward()
    assert x.grad is None
    torch.testing.assert_close(bias.grad, torch.full_like(bias, NODES))


@pytest.mark.parametrize("nodes", [1, 2, 50])
def test_arguments_stay_as_they_are(nodes):
    _, weight, bias = (t.detach() for t in arguments(4))
    x, before = torch.randn(nodes, CHANNELS, dtype=torch.float64), bias.clone()
    torch.testing.assert_close(grouped_linear(x, weight, bias, 4), grouped(x, weight, bias, 4))
    assert bias.equal(before)


def test_parts_of_wider_matrices_and_no_nodes_are_taken():
    x, weight, bias = (t.detach() for t in arguments(4))
    wide = torch.cat([x, x], dim=1)
    torch.testing.assert_close(grouped_linear(wide[:, CHANNELS:], weight, bias, 4), grouped(x, weight, bias, 4))
    assert grouped_linear(x[:0], weight, bias, 4).shape == (0, OUT)


def test_autocast_computes_in_half_precision():
    x, weight, bias = (t.detach().float() for t in arguments(4))
    with torch.autocast("cpu", torch.bfloat16):
        out = grouped_linear(x, weight, bias, 4)
    torch.testing.assert_close(out.float(), grouped(x, weight, bias, 4), rtol=0.02, atol=0.05)
