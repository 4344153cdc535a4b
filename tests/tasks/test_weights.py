"""What is kept beside weights is read again, and another's is refused."""

import json

import pytest
import torch
from torch import nn

from vig_pyg.manifest import DamagedError, check
from vig_pyg.tasks.detection import Detection
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.segmentation import Segmentation
from vig_pyg.tasks.weights import plugged, weights_config, weights_file, with_weights, write_weights

CONFIG = {"task": "detect", "backbone": "vig_micro", "conv": "a:B"}


@pytest.fixture
def kept(tmp_path):
    """Return the folder ``best`` of a run, and the layer whose weights it holds."""
    layer = nn.Linear(3, 2)
    weights = {"weight": layer.weight.detach().T.contiguous().T, "bias": layer.bias.detach()}  # not contiguous
    write_weights(tmp_path / "best", weights, lambda path: path.write_text(json.dumps(CONFIG)), "# A layer")
    return tmp_path / "best", layer


def test_weights_are_found_in_a_run_a_folder_and_a_file(kept):
    file = kept[0] / "model.safetensors"
    assert weights_file(kept[0].parent) == weights_file(str(kept[0])) == weights_file(file) == file
    with pytest.raises(FileNotFoundError, match="there are no weights in nowhere: give a file, or the folder of a run"):
        weights_file("nowhere")


def test_without_the_best_weights_the_last_are_named(tmp_path):
    (tmp_path / "last").mkdir()
    with pytest.raises(FileNotFoundError, match=r"there are no best weights in .*: take .*last for those of its last"):
        weights_file(tmp_path)


def test_what_is_written_is_read_again_and_sealed(kept):
    folder, layer = kept
    read = with_weights(nn.Linear(3, 2), folder)
    assert torch.equal(read.weight, layer.weight) and not read.training
    assert weights_config(folder / "model.safetensors") == CONFIG and (folder / "README.md").read_text() == "# A layer"
    for name in ("config.json", "model.safetensors"):
        check(folder / name, required=True)
    (folder / "config.json").write_text("{}")
    with pytest.raises(DamagedError, match=r"config.json is damaged"):
        weights_config(folder / "model.safetensors")


def test_weights_of_another_model_are_refused(kept):
    with pytest.raises(ValueError, match=r"model.safetensors does not fit its config.json: size mismatch for bias"):
        with_weights(nn.Linear(3, 4), kept[0])


def test_a_configuration_is_that_of_the_task_the_backbone_and_what_is_trusted(kept):
    with pytest.raises(ValueError, match=r"holds no model that segments: there must be a config.json beside it"):
        Segmentation.load(kept[0])
    with pytest.raises(ValueError, match="holds weights of a detector on vig_micro, not on vig_tiny"):
        Detection.load(kept[0], model="vig_tiny")
    with pytest.raises(ValueError, match=r"config.json names the operator 'a:B'"):
        Detection.load(kept[0])


def test_what_is_plugged_in_is_said_in_words():
    assert plugged(Recipe()) == "vig_micro" and plugged(Recipe(graph="grid")) == "vig_micro with the graph `grid`"
    assert plugged(Recipe(conv="gin", graph="grid")) == "vig_micro with the operator `gin` and the graph `grid`"
