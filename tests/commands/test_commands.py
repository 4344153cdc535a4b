"""The commands, as a person types them."""

import shutil

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from tests.data.written_folders import write_images
from vig_pyg.commands import app
from vig_pyg.data.images import LIMIT

BRIEF = ["epochs=1", "warmup_epochs=0", "batch=240", "device_batch=60", "--device", "cpu"]


def call(*words: object):
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, " ".join(result.output.split())


def done(*words: object) -> str:
    """Return what a command says that does what it is asked for."""
    status, output = call(*words)
    assert status == 0, output
    return output


def test_a_hub_gives_the_weights_back(run, tmp_path, monkeypatch):
    snapshot = tmp_path / "models--someone--digits" / "snapshots" / "0123"  # as the hub's client keeps what it fetched
    shutil.copytree(run / "last", snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0123")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    model = timm.create_model("hf-hub:someone/digits", pretrained=True, cache_dir=tmp_path)
    kept = load_file(run / "last" / "model.safetensors")
    assert all(torch.equal(weight, kept[name]) for name, weight in model.state_dict().items())


def test_the_limit_of_pixels_is_an_option(run, tmp_path, monkeypatch):
    monkeypatch.setenv(LIMIT, "1000000")  # and is restored
    write_images(tmp_path / "images", 10)
    few = ("--max-pixels", 2000, "--device", "cpu")
    status, output = call("predict", run, tmp_path / "images" / "flower" / "000.jpg", *few)
    assert status == 0 and "48×48 = 2,304 pixels, more than the limit of 2,000" in output
    out = ("--out", tmp_path / "run", *few)
    status, output = call("train", "--data", tmp_path / "images", "--model", "vig_micro", *out, *BRIEF[:2], "batch=8")
    assert status == 2 and "20 images in a row do not decode" in output and not (tmp_path / "run").exists(), output
    assert "48×48 = 2,304 pixels, more than the limit of 2,000" in output and "Traceback" not in output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "--data", "nowhere"], "there is no folder 'nowhere'"),
        (["train", "--model", "vig_tny"], "there is no model called 'vig_tny': did you mean vig_tiny?"),
        (["train", "--conv", "egde"], "did you mean 'edge'?"),
        (["train", "--recipe", "diet"], "there is no recipe 'diet'"),
        (["train", "epoch=3"], "did you mean 'epochs'?"),
        (["train", "epochs=-1"], "epochs must be at least 1, got -1"),
        (["train", "model_options.wings=2"], "does not take these options"),
        (["train", "--device", "abacus"], "device must be cpu, cuda, cuda:0 or the like, got 'abacus'"),
        (["train", "--resume"], "--resume needs --out"),
        (["train", "--resume", "--out", "nowhere"], "there is no recipe 'nowhere/recipe.yaml'"),
        (["train", "--data", "digits", "--init", "nowhere.pth"], "there are no weights in nowhere.pth"),
        (["train", "--out", "/proc/run"], "/proc/run"),
        (["eval", "nowhere"], "there are no weights in nowhere"),
        (["predict", "RUN", "nowhere/*.jpg"], "names no image"),
        (["predict", "RUN", "x.jpg", "--out", "found.txt"], "--out must end in .csv or .jsonl"),
        (["export", "RUN", "--model", "vig_tiny"], "holds weights of vig_micro, not of vig_tiny"),
        (["train", "--data", "wds/nowhere"], "there is no nowhere/_info.json"),
        (["info", "resnet50"], "is no model of this library"),
    ],
)
def test_wrong_input_is_one_sentence_and_status_2(words, sentence, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, output = call(*(run if word == "RUN" else word for word in words))
    assert status == 2, output
    assert sentence in output and "Traceback" not in output
    assert not list(tmp_path.iterdir())
