"""Weights go into the layouts of others and come back equal, bit by bit."""

import pytest
import timm
import torch

import vig_pyg
from tests.models.published import RECORDED_MODELS, RECORDINGS, mmpretrain_state, published_state
from tests.models.test_checkpoint import MODELS, assert_equal_weights, fresh
from vig_pyg.models import layouts
from vig_pyg.models.layouts import LAYOUTS, release_state, write_layout

IMAGES = torch.linspace(-1, 1, 2 * 3 * 32 * 32).sin().view(2, 3, 32, 32)


def settled(name):
    """A model with the statistics of some images."""
    model = fresh(name).train()
    model(IMAGES)
    return model.eval()


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", MODELS)
def test_a_round_trip_changes_no_bit(name, layout, ending, tmp_path):
    model, file = settled(name), tmp_path / f"weights{ending}"
    write_layout(model, layout, file, IMAGES)
    back = vig_pyg.load_checkpoint(fresh(name), file).eval()
    assert_equal_weights(back, model)
    with torch.no_grad():
        assert torch.equal(back(IMAGES), model(IMAGES))


@pytest.mark.parametrize("name", MODELS)
def test_layouts_are_those_of_the_tests(name):
    model = settled(name)
    released = {n: w for n, w in release_state(model).items() if not n.endswith("relative_pos")}
    for ours, theirs in ((released, published_state(model)), (LAYOUTS["mmpretrain"](model), mmpretrain_state(model))):
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[n], w) for n, w in theirs.items())


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_the_release_finds_all_its_names_and_shapes(name):
    recording = RECORDINGS[name]
    model = timm.create_model(RECORDED_MODELS[recording["model"]], conv=recording["conv"], num_classes=10)
    assert {n: list(w.shape) for n, w in release_state(model).items()} == recording["shapes"]


def test_the_relative_position_is_added_to_squared_distances():
    model = timm.create_model("pvig_micro")
    tables = [w for n, w in release_state(model).items() if n.endswith("relative_pos")]
    assert len(tables) == 4
    assert torch.allclose(tables[1].diagonal(dim1=1, dim2=2), torch.tensor(-1.0))  # half of an embedding is sin² + cos²


def test_what_has_no_such_layout_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no layout 'onnx': it must be one of timm, release, mmpretrain"):
        write_layout(fresh("vig_micro"), "onnx", tmp_path / "x.pth", IMAGES)
    with pytest.raises(ValueError, match="names the weights of ViG and Pyramid ViG, not of ResNet"):
        write_layout(timm.create_model("resnet10t"), "release", tmp_path / "x.pth", IMAGES)
    assert not list(tmp_path.iterdir())


def test_a_file_that_gives_other_outputs_is_named(tmp_path, monkeypatch):
    wrong = {n: w + (n == "head.fc2.bias") for n, w in settled("vig_micro").state_dict().items()}
    monkeypatch.setitem(layouts.LAYOUTS, "timm", lambda _: wrong)
    with pytest.raises(ValueError, match=r"x.pth was written, but what is read from it gives other outputs"):
        write_layout(settled("vig_micro"), "timm", tmp_path / "x.pth", IMAGES)
