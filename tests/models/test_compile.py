import pytest
import timm
import torch

import vig_pyg
from vig_pyg.conv import EdgeConv, MaxRelativeConv


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


@pytest.mark.parametrize("operator", [MaxRelativeConv, EdgeConv])
@pytest.mark.parametrize("sizes", [None, [8, 12, 12]])
def test_a_function_that_builds_a_graph_and_applies_an_operator_compiles_whole(operator, sizes):
    torch.manual_seed(0)
    conv, x = operator(4, 4).double(), torch.randn(32, 4, dtype=torch.double)
    batch = None if sizes is None else torch.arange(3).repeat_interleave(torch.tensor(sizes))

    def layer(x):
        return conv(x, vig_pyg.knn_graph(x, 3, batch, loop=True))

    torch.compiler.reset()
    torch.testing.assert_close(torch.compile(layer, backend="aot_eager", fullgraph=True)(x), layer(x))


def test_a_stochastic_model_compiles_into_one_graph_that_draws_anew_at_every_call():
    torch.manual_seed(0)
    model = timm.create_model("vig_micro", num_classes=10, depth=2, dilation=2, stochastic=True, epsilon=1.0)
    for layer in model.modules():
        if isinstance(layer, torch.nn.Dropout | torch.nn.modules.batchnorm._BatchNorm):
            layer.eval()
    images = torch.randn(2, 3, 64, 64)
    torch.compiler.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    assert not torch.equal(compiled(images), compiled(images))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["vig_micro", "pvig_micro"])
def test_a_traced_model_gives_its_logits_for_any_number_of_images(name):
    """torch.jit.trace, which counters of operations such as fvcore's begin with too."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=10).eval()
    with torch.no_grad():
        traced = torch.jit.trace(model, torch.randn(2, 3, 32, 32))
        for count in (1, 2, 3):
            images = torch.randn(count, 3, 32, 32)
            logits = model(images)  # by products of another library
            torch.testing.assert_close(traced(images), logits, rtol=1e-4, atol=1e-5 * logits.abs().max().item())
