import pytest
import timm
import torch

import vig_pyg


@pytest.mark.parametrize("conv", ["max_relative", "edge", "gin", "sage"])
def test_bf16_autocast_trains_and_stays_near_float32(conv: str) -> None:
    torch.manual_seed(0)
    model = timm.create_model("vig_micro", conv=conv, num_classes=10, k=64)  # all nodes: the graph cannot change
    images = torch.randn(4, 3, 32, 32)
    expected = model(images)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(images)
    logits.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    error = (logits.float() - expected).norm() / expected.norm()
    assert error < 0.1


def test_neighbours_are_searched_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    x = torch.randn(400, 32)
    layout = vig_pyg.NodeLayout.uniform(4, 10, 10)
    graph = vig_pyg.graph.KNNGraph(9)
    expected = graph(x, layout).as_tensor()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(graph(x, layout).as_tensor(), expected)
    half = graph(x.bfloat16(), layout).as_tensor()
    assert torch.equal(half, graph(x.bfloat16().float(), layout).as_tensor())


@pytest.mark.parametrize("name", ["vig_micro", "pvig_micro"])
def test_a_model_of_bf16_weights_runs(name: str) -> None:
    model = timm.create_model(name, num_classes=10).bfloat16().eval()
    assert model(torch.randn(2, 3, 32, 32).bfloat16()).isfinite().all()


def test_images_of_another_precision_than_the_weights_are_refused() -> None:
    model = timm.create_model("vig_micro", num_classes=10)
    with pytest.raises(TypeError, match=r"must be torch\.float32 as the model's weights are, got torch\.float64"):
        model(torch.randn(2, 3, 32, 32).double())
