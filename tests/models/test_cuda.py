"""Models on a card, without one: no device is mixed with another, results are the CPU's, and nothing waits.

What runs only on a card (our Triton kernels) is replaced by what the library does on CUDA without Triton.
"""

import copy
import re

import pytest
import timm
import torch
import torch_geometric.typing
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException

import vig_pyg
from tests.card import Card, OnCard, gradients

SIDES = {"vig_micro": 32, "pvig_micro": 32, "wignet_tiny": 256}
MODELS = ("mobilevig_tiny", "mobilevigv2_tiny", "greedyvig_small", "adaptvig_small", *SIDES)
CASES = {
    **{name: (name, {}) for name in MODELS},
    **{f"conv {conv}": ("vig_micro", {"conv": conv}) for conv in vig_pyg.list_convs()},
    **{f"graph {graph}": ("vig_micro", {"graph": graph}) for graph in vig_pyg.list_graphs()},
}
# How many edges there are, or whether clusters still change, is a value.
CHOOSE = {"greedyvig_small", *(f"graph {graph}" for graph in ("cluster", "greedy", "hypergraph", "threshold"))}
# Under torch.use_deterministic_algorithms(True) CUDA refuses these (torch's documentation of it); others it computes
# in an order that is always the same, scatter_add and index_add among them.
NOT_DETERMINISTIC = re.compile(
    "(adaptive_avg_pool|avg_pool3d|adaptive_max_pool|max_pool3d|fractional_max_pool|linear1d|bilinear2d|bicubic2d|"
    "trilinear3d|reflection_pad|replication_pad|grid_sampler|nll_loss2d|ctc_loss|embedding_bag).*backward|"
    "::(put_|histc|median|kthvalue|max_unpool)|cumsum.* of floats|bincount.* of floats"
)
OF_PYG = {"conv gat", "conv gatv2", "conv gcn"}  # PyG's removal of self-loops counts


def on_cuda(case: str) -> tuple[torch.nn.Module, torch.Tensor]:
    """Return a model and images, both on the CPU."""
    name, options = CASES[case]
    torch.manual_seed(0)
    side = SIDES.get(name, 64)
    return timm.create_model(name, num_classes=10, **options), torch.randn(2, 3, side, side)


@pytest.fixture
def without_compiled_kernels(monkeypatch) -> None:
    monkeypatch.setattr("vig_pyg.kernels.backends.HAS_TRITON", False)
    monkeypatch.setattr(torch_geometric.typing, "WITH_TORCH_SCATTER", False)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:The usage of `scatter")
def test_a_training_step_on_a_card_is_that_of_the_cpu(case, without_compiled_kernels) -> None:
    model, images = on_cuda(case)
    model.train()
    with Card() as card:
        moved, there = card.take(copy.deepcopy(model)), images.to("cuda")
        sent = card.sent
        found = gradients(moved(there).square().mean())
    grads = torch.autograd.grad(model(images).square().mean(), list(model.parameters()))
    largest = max(grad.abs().max() for grad in grads)
    for (name, parameter), expected in zip(moved.named_parameters(), grads, strict=True):
        error = (found[id(parameter)].here - expected).abs().max() / largest
        assert error < 0.02, name  # of sums in another order, through the norms of two small images; seen: 0.002
    assert bool(card.waits) == (case in CHOOSE | OF_PYG), card.waits
    if case in ("vig_micro", "pvig_micro") or case.startswith("conv "):  # others send edges, once per layout
        assert card.sent == sent
    assert not [call for call in card.calls if NOT_DETERMINISTIC.search(call)]


@pytest.mark.parametrize("case", CASES)
def test_torch_finds_no_two_devices_in_what_runs_on_cuda(case) -> None:
    model, images = on_cuda(case)
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
            model.eval()._apply(lambda values: mode.from_tensor(values).to("cuda"))
            logits = model(mode.from_tensor(images).to("cuda"))
        assert logits.device.type == "cuda" and case not in CHOOSE | OF_PYG
    except (DataDependentOutputException, DynamicOutputShapeException):
        assert case in CHOOSE | OF_PYG
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a card")
@pytest.mark.parametrize("name", ["vig_micro", "pvig_micro"])
def test_nothing_waits_in_a_training_step_on_a_card(name) -> None:
    model, images = timm.create_model(name, num_classes=10).cuda().train(), torch.randn(2, 3, 32, 32, device="cuda")
    model(images).square().mean().backward()  # what is made once, such as a layout's pointers, is made
    torch.cuda.set_sync_debug_mode("error")
    try:
        model(images).square().mean().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_card_that_is_not_there_refuses_two_devices_and_counts_waits() -> None:
    with Card() as card:
        x = torch.arange(4.0, device="cuda")
        with pytest.raises(RuntimeError, match="on two devices"):
            x + torch.ones(4)
        assert isinstance(x, OnCard) and torch.equal((x[x > 1] * 2).cpu(), torch.tensor([4.0, 6.0]))
        assert x.sum().item() == 6 and card.sent == 0
        assert torch.tensor([1.0, 2.0], device="cuda").is_cuda and card.sent == 1
    assert card.waits == ["aten::index.Tensor", "aten::_to_copy", "aten::_local_scalar_dense"]
