"""Linear maps by oneDNN: values, gradients and second gradients are those of torch's own."""

import pytest
import torch
import torch.nn.functional as F
from torch.func import jvp, vmap
from torch.utils.flop_counter import FlopCounterMode

from vig_pyg.kernels.linear import LARGE, is_autocasting, linear, takes_onednn

SIZES = [(512, 64, 32), (512, 32, 64), (1025, 33, 17), (64, 96, 96)]
on_cpu = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")


def example(rows, width, out, bias=True, seed=0):
    torch.manual_seed(seed)
    x, weight = torch.randn(rows, width), torch.randn(out, width) / width**0.5
    return [x.requires_grad_(), weight.requires_grad_(), torch.randn(out).requires_grad_() if bias else None]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_values_and_gradients_are_those_of_a_product_in_float64(size, bias):
    inputs = example(*size, bias)
    out = linear(*inputs)
    grad = torch.randn_like(out)
    given = [part for part in inputs if part is not None]
    found = torch.autograd.grad(out, given, grad)
    wide = [None if part is None else part.detach().double().requires_grad_() for part in inputs]
    expected = wide[0] @ wide[1].T + (0 if wide[2] is None else wide[2])
    gradients = torch.autograd.grad(expected, [part for part in wide if part is not None], grad.double())
    torch.testing.assert_close(out, expected.float(), rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(found, gradients, strict=True):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-4, atol=1e-3)


def test_gradients_of_gradients_are_those_of_torchs_linear():
    found = []
    for function in (linear, F.linear):
        x, weight, bias = example(512, 64, 32)
        (of_x,) = torch.autograd.grad(function(x, weight, bias).pow(3).sum(), x, create_graph=True)
        found.append(torch.autograd.grad(of_x.square().sum(), [x, weight, bias]))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-2)


@on_cpu
def test_a_matrix_with_gaps_is_laid_out_first():
    x, weight, _ = example(512, 64, 64)
    wide = torch.randn(512, 256)
    assert takes_onednn(wide[:, 64:128], weight)
    torch.testing.assert_close(linear(wide[:, 64:128], weight), wide[:, 64:128] @ weight.T, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(linear(x, wide[:64, ::4]), x @ wide[:64, ::4].T, rtol=1e-4, atol=1e-3)


@on_cpu
def test_it_is_taken_for_large_plain_products_in_float32_only():
    x, weight = torch.randn(LARGE // 32, 8), torch.randn(4, 8)
    assert takes_onednn(x, weight)
    assert not takes_onednn(x[:16], weight)
    assert not takes_onednn(x.double(), weight.double())
    assert not takes_onednn(x.to("meta"), weight.to("meta"))
    assert not takes_onednn(x.unsqueeze(0), weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert is_autocasting("cpu") and not takes_onednn(x, weight)
    with FlopCounterMode(display=False) as counter:  # who counts operations finds torch's own
        linear(x, weight)
    assert counter.get_total_flops() == 2 * x.numel() * 4


def test_transformations_of_functions_find_torchs_own():
    x, weight, bias = (part.detach() for part in example(512, 64, 32))
    out, slope = jvp(lambda x: linear(x, weight, bias), (x,), (torch.ones_like(x),))
    torch.testing.assert_close(out, F.linear(x, weight, bias))
    torch.testing.assert_close(slope, weight.sum(1).expand_as(out), rtol=1e-4, atol=1e-4)
    images = torch.randn(3, 512, 64)
    torch.testing.assert_close(vmap(lambda x: linear(x, weight))(images), images @ weight.T, rtol=1e-4, atol=1e-4)
