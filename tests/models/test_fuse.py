import pytest
import timm
import torch
from torch import nn
from torch.nn.utils import parametrize, prune

import vig_pyg
from vig_pyg.conv.linear import GroupedLinear


def trained(name: str, **options) -> nn.Module:
    """Return a model whose norms have seen data: running statistics and weights away from their start."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=10, **options)
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm1d)):
        nn.init.uniform_(norm.weight, -1.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
    with torch.no_grad():
        for _ in range(3):
            model.train()(torch.randn(4, 3, 32, 32))
    return model.eval().double()  # in float64 no neighbors change places by rounding


@pytest.mark.parametrize("conv", ["max_relative", "edge", "gin", "sage", "hypergraph", "gcn"])
@pytest.mark.parametrize("name", ["vig_micro", "pvig_micro"])
def test_a_fused_model_gives_equal_logits(name: str, conv: str) -> None:
    model = trained(name, conv=conv)
    fused = vig_pyg.fuse_for_inference(model)
    images = torch.randn(3, 3, 32, 32, dtype=torch.double)
    expected = model(images)
    assert (fused(images) - expected).abs().max() <= 1e-10 * expected.abs().max()
    left = [m for m in fused.modules() if isinstance(m, nn.BatchNorm1d)]
    assert len(left) == (4 if conv == "gcn" else 0)


def test_fusing_leaves_the_model_itself_alone() -> None:
    model = trained("vig_micro", stem="patch")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    fused = vig_pyg.fuse_for_inference(model)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters()) and not any(p.requires_grad for p in fused.parameters())


def test_layer_norms_stay() -> None:
    model = trained("vig_micro", norm="layer")
    fused = vig_pyg.fuse_for_inference(model)
    images = torch.randn(2, 3, 32, 32, dtype=torch.double)
    torch.testing.assert_close(fused(images), model(images))


def test_in_float32_fusing_changes_no_more_than_rounding() -> None:
    model = trained("vig_micro", k=64).float()  # all nodes are neighbors: rounding cannot change the graph
    images = torch.randn(4, 3, 32, 32)
    expected = model(images)
    fused = vig_pyg.fuse_for_inference(model)
    assert (fused(images) - expected).abs().max() <= 1e-5 * expected.abs().max()


class SoftGELU(nn.GELU):
    """An activation that is a GELU by its class alone."""

    def forward(self, x):
        return super().forward(x) / 2


@pytest.mark.parametrize("act", [lambda: nn.GELU(approximate="tanh"), SoftGELU, nn.GELU, nn.ReLU, "gelu_tanh"])
def test_activations_stay_what_they_are(act) -> None:
    model = trained("vig_micro", k=64, act=act).float()  # all nodes are neighbors: rounding cannot change the graph
    images = torch.randn(4, 3, 32, 32)
    expected = model(images)
    assert (vig_pyg.fuse_for_inference(model)(images) - expected).abs().max() <= 1e-5 * expected.abs().max()


class PlusOne(nn.Module):
    """A parametrization that changes a weight."""

    def forward(self, weight):
        return weight + 1


class Doubled(GroupedLinear):
    """A map with weights like ours that does something else, as those of LoRA do."""

    def forward(self, x):
        return 2 * super().forward(x)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["parametrization", "pruning", "hook", "subclass"])
def test_maps_that_others_change_stay_as_changed(kind: str) -> None:
    model = trained("vig_micro")
    for layer in (model.blocks[0].ffn.fc1, model.blocks[1].ffn.fc2):
        if kind == "parametrization":
            parametrize.register_parametrization(layer.linear, "weight", PlusOne())
        elif kind == "pruning":
            prune.l1_unstructured(layer.linear, "weight", 0.5)
        elif kind == "hook":
            layer.linear.register_forward_hook(lambda _, __, out: 2 * out)
        else:
            layer.linear.__class__ = Doubled
    images = torch.randn(3, 3, 32, 32, dtype=torch.double)
    expected = model(images)
    fused = vig_pyg.fuse_for_inference(model)
    assert (fused(images) - expected).abs().max() <= 1e-10 * expected.abs().max()
    assert sum(isinstance(m, nn.BatchNorm1d) for m in fused.modules()) == 2
