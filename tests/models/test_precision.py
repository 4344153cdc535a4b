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
