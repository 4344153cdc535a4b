import pytest
import timm
import torch
from torch import nn

import vig_pyg


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
    return model.eval().double()  # in float64 no neighbours change places by rounding


@pytest.mark.parametrize("conv", ["max_relative", "edge", "gin", "sage", "gcn"])
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
    model = trained("vig_micro", k=64).float()  # all nodes are neighbours: rounding cannot change the graph
    images = torch.randn(4, 3, 32, 32)
    expected = model(images)
    fused = vig_pyg.fuse_for_inference(model)
    assert (fused(images) - expected).abs().max() <= 1e-5 * expected.abs().max()
