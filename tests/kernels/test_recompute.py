"""What is computed again in the backward pass can be kept instead, with the same gradients."""

import gc
from weakref import ref

import pytest
import timm
import torch
import torch.nn.functional as F
from torch.autograd.graph import saved_tensors_hooks

import vig_pyg
from vig_pyg.conv import norm_act
from vig_pyg.kernels import recompute
from vig_pyg.kernels.recompute import may_recompute, recomputing, set_recompute


@pytest.fixture
def hooks(monkeypatch):
    """Have everything count as large, and list the hooks on saved tensors."""
    seen = []

    def noted(*functions):
        seen.append(functions)
        return saved_tensors_hooks(*functions)

    monkeypatch.setattr(norm_act, "LARGE", 0)
    monkeypatch.setattr(recompute, "saved_tensors_hooks", noted)
    return seen


@pytest.mark.parametrize("name", ["vig_micro", "pvig_micro"])
def test_plain_autograd_gives_the_same_gradients_and_holds_no_hook(name, hooks):
    torch.manual_seed(0)
    model, images = timm.create_model(name, num_classes=3).double().train(), torch.randn(4, 3, 32, 32).double()
    parameters = list(model.parameters())
    again = torch.autograd.grad(model(images).sin().sum(), parameters)
    assert hooks
    hooks.clear()
    with vig_pyg.recompute_activations(False):
        kept = torch.autograd.grad(model(images).sin().sum(), parameters)
    assert not hooks
    torch.testing.assert_close(again, kept)


def test_it_holds_within_its_block_or_from_its_call_on():
    x = torch.ones(1, requires_grad=True)
    with vig_pyg.recompute_activations(False):
        with vig_pyg.recompute_activations(True):
            assert may_recompute(x)
        assert not may_recompute(x)
    assert may_recompute(x)
    vig_pyg.recompute_activations(False)
    assert not may_recompute(x)
    vig_pyg.recompute_activations(True)
    assert may_recompute(x)


def test_an_error_in_its_block_ends_it():
    with pytest.raises(KeyError), vig_pyg.recompute_activations(False):
        raise KeyError
    assert may_recompute(torch.ones(1, requires_grad=True))


@pytest.mark.parametrize("enabled", [None, 1, "no"])
def test_another_value_is_refused(enabled):
    with pytest.raises(TypeError, match="enabled must be True or False, got"):
        vig_pyg.recompute_activations(enabled)
    assert may_recompute(torch.ones(1, requires_grad=True))


@pytest.mark.parametrize("view", [lambda x: x, lambda x: x.view(5, 2, 4), lambda x: x.view(5, 2, 4)[1:, 1]])
def test_a_view_that_is_passed_on_is_computed_again_too(view):
    weight = torch.randn(10, 4, requires_grad=True)
    made = weight * 2
    set_recompute(made, lambda: weight.detach() * 2)
    alive, seen = ref(made), view(made)
    del made
    with recomputing(seen):
        loss = F.gelu(seen).sum()
    del seen
    gc.collect()
    assert alive() is None
    torch.testing.assert_close(
        torch.autograd.grad(loss, weight), torch.autograd.grad(F.gelu(view(weight * 2)).sum(), weight)
    )
