"""The models among tools of others: meta devices, transformers, frozen norms, hooks, tracers."""

import copy

import pytest
import timm
import torch
from timm.models._manipulate import reinit_non_persistent_buffers

from vig_pyg import fuse_for_inference

MICRO = ["vig_micro", "pvig_micro"]
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))


def create(name, **options):
    torch.manual_seed(0)
    return timm.create_model(name, **options).eval()


# Memory that is not filled ##########################################################################


def built_on_meta(name):
    """Return a model from the meta device whose memory holds what it held before: here NaN."""
    with torch.device("meta"):
        model = create(name)
    model = model.to_empty(device="cpu")
    for held in [*model.parameters(), *model.buffers()]:
        held.data.fill_(float("nan") if held.is_floating_point() else -7)
    return model


@pytest.mark.parametrize("name", MICRO)
def test_a_model_from_the_meta_device_gives_the_same_logits_once_its_weights_are_loaded(name):
    model, other = create(name), built_on_meta(name)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(IMAGES), model(IMAGES))


@pytest.mark.parametrize("name", MICRO)
def test_timm_fills_buffers_that_no_file_holds(name):
    model, other = create(name), built_on_meta(name)
    with torch.no_grad():
        for mine, theirs in zip(other.state_dict().values(), model.state_dict().values(), strict=True):
            mine.copy_(theirs)  # as transformers does, without load_state_dict
    names = reinit_non_persistent_buffers(other)
    assert len(names) == (3 if name == "pvig_micro" else 0)  # one table per stage
    assert torch.equal(other(IMAGES), model(IMAGES))


@pytest.mark.parametrize("name", MICRO)
def test_transformers_reloads_a_model_of_ours(name, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.TimmWrapperConfig(architecture=name, num_labels=5)
    model = transformers.TimmWrapperForImageClassification(config).eval()
    model.save_pretrained(tmp_path)
    other = transformers.AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    assert torch.equal(other(IMAGES).logits, model(IMAGES).logits)


# Frozen norms #######################################################################################


def trained(name, **options):
    """Return a model whose statistics have moved, in float64: rounding swaps no neighbours."""
    model = create(name, **options).double().train()
    with torch.no_grad():
        model(torch.randn(4, 3, 32, 32, dtype=torch.double))
    return model.eval()


@pytest.mark.parametrize("options", [{}, {"conv": "edge"}, {"conv": "gcn"}, {"stem": "patch"}], ids=str)
@pytest.mark.parametrize("name", MICRO)
def test_timm_freezes_and_unfreezes_batch_norms(name, options):
    model, images = trained(name, **options), IMAGES.double()
    expected, state = model(images), copy.deepcopy(model.state_dict())
    timm.utils.freeze(model)
    model.train()
    torch.testing.assert_close(model(images), expected)
    frozen = model.state_dict()
    assert all(torch.equal(frozen[key], state[key]) for key in frozen)
    assert set(state) - set(frozen) == {key for key in state if key.endswith("num_batches_tracked")}
    torch.testing.assert_close(fuse_for_inference(model)(images), expected)
    timm.utils.unfreeze(model)
    torch.testing.assert_close(model.eval()(images), expected)
    model.train()(images).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    moved = model.state_dict()
    still = [key for key in state if "running" in key and torch.equal(moved[key], state[key])]
    assert still == []


def test_timm_freezes_some_layers():
    model, images = trained("vig_micro"), IMAGES.double()
    before = copy.deepcopy(model.state_dict())
    timm.utils.freeze(model, ["stem", "blocks.0"])
    model.train()(images)
    after = model.state_dict()
    moved = {
        key.rsplit(".", 2)[0] for key in after if "running_mean" in key and not torch.equal(after[key], before[key])
    }
    assert not any(key.startswith(("stem", "blocks.0.")) for key in moved)
    assert any(key.startswith("blocks.1.") for key in moved)
