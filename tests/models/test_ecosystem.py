"""The models among tools of others: meta devices, transformers, frozen norms, hooks, tracers."""

import pytest
import timm
import torch
from timm.models._manipulate import reinit_non_persistent_buffers

import vig_pyg  # noqa: F401 - registers the models

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
