import pytest
import timm
import torch

import vig_pyg


@pytest.mark.parametrize("conv", ["max_relative", "edge", "gin", "sage"])
@pytest.mark.parametrize("name", ["vig_micro", "pvig_micro"])
def test_a_model_compiles_into_one_graph_with_equal_logits_and_gradients(name: str, conv: str) -> None:
    torch.manual_seed(0)
    model = timm.create_model(name, conv=conv, num_classes=10).double()
    images = torch.randn(2, 3, 32, 32, dtype=torch.double)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(images), model(images))
    gradients = []
    for call in (compiled, model):
        model.zero_grad()
        call(images).square().mean().backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
    torch.testing.assert_close(*gradients)


def test_inductor_compiles_a_model_in_evaluation_mode() -> None:
    torch.manual_seed(0)
    model = timm.create_model("vig_micro", num_classes=10, depth=2, k=64).eval()  # all nodes: no ties to break
    images = torch.randn(2, 3, 32, 32)
    torch.compiler.reset()
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(model, fullgraph=True)(images), model(images), rtol=1e-4, atol=1e-4)


def test_a_model_under_autocast_compiles_into_one_graph() -> None:
    model = timm.create_model("vig_micro", num_classes=10, depth=2).eval()
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert compiled(torch.randn(2, 3, 32, 32)).isfinite().all()


def test_inductor_compiles_a_fused_model() -> None:
    torch.manual_seed(0)
    model = timm.create_model("vig_micro", num_classes=10, depth=2, k=64).eval()
    fused, images = vig_pyg.fuse_for_inference(model), torch.randn(2, 3, 32, 32)
    torch.compiler.reset()
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(fused, fullgraph=True)(images), model(images), rtol=1e-4, atol=1e-4)
