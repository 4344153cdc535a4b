"""Agreement with the published implementation: recorded outputs, names, parameters and operations."""

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

import vig_pyg
from tests.models.published import (
    RECORDED_MODELS,
    RECORDINGS,
    made_up_images,
    made_up_state,
    published_name,
    published_state,
)
from vig_pyg.models.checkpoint import checkpoint_filter_fn

WITH_OUTPUTS = sorted(name for name, recording in RECORDINGS.items() if "logits" in recording)

# Trainable parameters and 10⁹ multiply-accumulates at 224×224 with 1000 classes, of the published code.
COSTS = {
    ("vig_tiny", "max_relative"): (7_184_744, 1.301),
    ("vig_small", "max_relative"): (22_747_752, 4.517),
    ("vig_base", "max_relative"): (86_841_832, 17.643),
    ("pvig_tiny", "max_relative"): (10_714_376, 1.700),
    ("pvig_small", "max_relative"): (27_251_912, 4.548),
    ("pvig_medium", "max_relative"): (49_525_832, 8.845),
    ("pvig_base", "max_relative"): (92_980_328, 16.804),
    ("vig_tiny", "edge"): (7_184_744, 2.349),
    ("vig_tiny", "gin"): (6_963_572, 1.258),
    ("vig_tiny", "sage"): (7_302_248, 1.584),
    ("pvig_tiny", "edge"): (10_714_376, 2.588),
    ("pvig_tiny", "gin"): (10_382_612, 1.644),
    ("pvig_tiny", "sage"): (10_887_752, 1.950),
}


def build(recording, **options):
    return timm.create_model(RECORDED_MODELS[recording["model"]], conv=recording["conv"], num_classes=10, **options)


def test_every_recording_is_there():
    assert len(RECORDINGS) == 5
    assert len(WITH_OUTPUTS) == 3


@pytest.fixture(scope="module", params=WITH_OUTPUTS)
def runs(request):
    """A recording, and the same quantities measured on our model."""
    recording = RECORDINGS[request.param]
    model = build(recording).double()
    vig_pyg.load_checkpoint(model, made_up_state(recording["shapes"]))
    images, blocks = made_up_images(), []

    def keep_statistics(block, inputs, output):
        blocks.append([output[0].mean().item(), output[0].std().item()])

    hooks = [block.register_forward_hook(keep_statistics) for block in model.blocks]
    with torch.no_grad():
        logits = model.eval()(images)
    for hook in hooks:
        hook.remove()
    loss = model.train()(images).square().mean()
    loss.backward()
    gradients = {published_name(name): p.grad.norm().item() for name, p in model.named_parameters()}
    return recording, {"logits": logits, "blocks": blocks, "loss": loss.item(), "gradients": gradients}


def test_the_logits_are_the_recorded_ones(runs):
    recording, ours = runs
    theirs = torch.tensor(recording["logits"], dtype=torch.float64)
    assert (ours["logits"] - theirs).abs().max() < 1e-9 * theirs.abs().max()


def test_every_block_has_the_recorded_mean_and_deviation(runs):
    recording, ours = runs
    assert len(ours["blocks"]) == len(recording["blocks"])
    for mine, theirs in zip(ours["blocks"], recording["blocks"], strict=True):
        assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-9)


def test_the_training_loss_is_the_recorded_one(runs):
    recording, ours = runs
    assert ours["loss"] == pytest.approx(recording["train_loss"], rel=1e-9)


def test_the_gradients_have_the_recorded_norms(runs):
    recording, ours = runs
    assert len(recording["grad_norms"]) == 11
    for name, theirs in recording["grad_norms"].items():
        if theirs < 1e-9:  # zero but for rounding: the bias before a batch norm
            assert ours["gradients"][name] < 1e-9, name
        else:
            assert ours["gradients"][name] == pytest.approx(theirs, rel=1e-7), name


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_published_names_and_shapes_become_ours_without_a_leftover(name):
    recording = RECORDINGS[name]
    with torch.device("meta"):
        model = build(recording)
        theirs = {n: torch.empty(shape) for n, shape in recording["shapes"].items()}
    converted = {n: list(w.shape) for n, w in checkpoint_filter_fn(theirs, model).items()}
    assert converted == {n: list(w.shape) for n, w in model.state_dict().items()}


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_our_names_and_shapes_become_the_published_ones_without_a_leftover(name):
    recording = RECORDINGS[name]
    with torch.device("meta"):
        model = build(recording)
    converted = {n: list(w.shape) for n, w in published_state(model).items()}
    assert converted == {n: s for n, s in recording["shapes"].items() if not n.endswith("relative_pos")}


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_models_of_ten_classes_have_as_many_parameters_as_recorded(name):
    with torch.device("meta"):
        model = build(RECORDINGS[name])
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == RECORDINGS[name]["params"]


@pytest.mark.parametrize(("name", "conv"), COSTS)
def test_trainable_parameters_agree_to_the_unit(name, conv):
    with torch.device("meta"):
        model = timm.create_model(name, conv=conv)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == COSTS[name, conv][0]


@pytest.mark.parametrize(("name", "conv"), COSTS)
def test_no_more_operations_are_spent_than_published(name, conv):
    with torch.device("meta"):
        model, image = timm.create_model(name, conv=conv).eval(), torch.empty(1, 3, 224, 224)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(image)
    operations = counter.get_total_flops() / 2e9
    assert 0.5 * COSTS[name, conv][1] < operations <= 1.01 * COSTS[name, conv][1]


@pytest.mark.parametrize("name", ["vig_micro", "pvig_micro"])
def test_operations_are_counted_alike_without_values(name):
    counts = []
    for device in ("meta", "cpu"):
        with torch.device(device):
            model, image = timm.create_model(name).eval(), torch.zeros(1, 3, 32, 32)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(image)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0
