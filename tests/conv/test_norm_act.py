"""What training does not keep is computed again: same gradients, less memory, never a stale value."""

import gc
from weakref import ReferenceType, ref

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from vig_pyg.conv import norm_act as module
from vig_pyg.conv.linear import LinearNormAct
from vig_pyg.conv.norm_act import norm_act
from vig_pyg.kernels.recompute import recomputing


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch):
    monkeypatch.setattr(module, "LARGE", 0)


def chain(norm: str | None = "batch", act: str | None = "gelu") -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        LinearNormAct(6, 24, norm=norm, act=act), LinearNormAct(24, 6, norm=norm), LinearNormAct(6, 6, 2, norm, act)
    ).double()


def plain(layers: nn.Sequential, x: Tensor) -> Tensor:
    """The same by torch's own modules, one after the other."""
    for layer in layers:
        weight = layer.linear.weight.unsqueeze(2)
        x = F.conv1d(x.unsqueeze(2), weight, layer.linear.bias, groups=layer.linear.heads).squeeze(2)
        x = layer.act(layer.norm(x))
    return x


def gradients(layers: nn.Sequential, out: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(out.sin().sum(), list(layers.parameters())))


@pytest.mark.parametrize("norm", ["batch", "layer", None])
@pytest.mark.parametrize("act", ["gelu", "relu", "silu", "selu", None])
@pytest.mark.parametrize("training", [True, False])
def test_gradients_equal_those_of_kept_values(norm, act, training):
    layers = chain(norm, act).train(training)
    x = torch.randn(40, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    torch.testing.assert_close(gradients(layers, layers(x)), gradients(layers, plain(layers, x)))


def test_gradients_of_gradients_are_right():
    layers = chain()
    x = torch.randn(8, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: layers(x), (x,))


def test_a_graph_can_be_passed_twice():
    layers = chain()
    loss = layers(torch.randn(9, 6, dtype=torch.float64)).sin().sum()
    first = torch.autograd.grad(loss, list(layers.parameters()), retain_graph=True)
    torch.testing.assert_close(first, torch.autograd.grad(loss, list(layers.parameters())))


def test_hidden_values_are_not_kept(monkeypatch):
    layers = chain()
    hidden: list[ReferenceType] = []
    forward = type(layers[0].act).forward

    def noting(act: nn.Module, given: Tensor) -> Tensor:  # a hook might change the value, so it would be kept
        out = forward(act, given)
        if act is layers[0].act:
            hidden.extend((ref(given), ref(out)))
        return out

    monkeypatch.setattr(type(layers[0].act), "forward", noting)
    out = layers(torch.randn(9, 6, dtype=torch.float64))
    gc.collect()
    assert out.requires_grad
    assert [value() for value in hidden] == [None, None]


def test_a_value_that_was_changed_is_kept_as_it_is():
    torch.manual_seed(0)
    norm, weight = nn.BatchNorm1d(4), torch.randn(3, 4, requires_grad=True)
    x = torch.randn(10, 4, requires_grad=True)
    out = norm_act(x, norm, nn.GELU())
    with torch.no_grad():
        out.mul_(2)
    with recomputing(out):
        mapped = F.linear(out, weight)
    torch.testing.assert_close(torch.autograd.grad(mapped.sum(), weight)[0], out.detach().sum(0).expand(3, -1))


@pytest.mark.parametrize("view", [lambda x: x, lambda x: x.view(5, 2, 4)[:, 1], lambda x: x.T])
def test_views_are_computed_again_too(view):
    torch.manual_seed(0)
    x = torch.randn(10, 4, requires_grad=True)
    out = norm_act(x, nn.BatchNorm1d(4), nn.GELU())
    with recomputing(out):
        loss = view(out).square().sum()
    definition = view(F.gelu(F.batch_norm(x, None, None, training=True))).square().sum()
    torch.testing.assert_close(torch.autograd.grad(loss, x), torch.autograd.grad(definition, x))


def test_random_activations_are_kept():
    torch.manual_seed(0)
    x, weight = torch.randn(200, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    out = norm_act(x, nn.BatchNorm1d(4), nn.RReLU())
    with recomputing(out):
        mapped = F.linear(out, weight)
    torch.testing.assert_close(torch.autograd.grad(mapped.sum(), weight)[0], out.detach().sum(0).expand(3, -1))


def test_the_hooks_of_others_come_first():
    layers, kept = chain(), []
    with saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        layers(torch.randn(9, 6, dtype=torch.float64))
    assert {(9, 24), (9, 6)} <= {tuple(t.shape) for t in kept}


def test_checkpointing_around_layers_works():
    layers = chain()
    for layer in layers:
        layer.norm.momentum = 0
    x = torch.randn(9, 6, dtype=torch.float64, requires_grad=True)
    out = checkpoint(layers, x, use_reentrant=False)
    torch.testing.assert_close(gradients(layers, out), gradients(layers, plain(layers, x)))
