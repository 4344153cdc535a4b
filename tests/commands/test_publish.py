"""``vig-pyg publish``, on a hub of files on disk."""

import shutil

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import load_file

from tests.commands.test_commands import call, done
from vig_pyg.commands.publish import publish


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A folder that stands for the hub, as its client keeps what it fetches."""

    def create_repo(self, repo_id, *, exist_ok=False):
        folder = tmp_path / f"models--{repo_id.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True, exist_ok=exist_ok)
        (folder / "refs" / "main").write_text("0123")
        return f"https://hub/{repo_id}"

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        shutil.copytree(folder_path, tmp_path / f"models--{repo_id.replace('/', '--')}" / "snapshots" / "0123")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create_repo)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload_folder)
    return tmp_path


def test_nothing_is_sent_without_yes(run, hub):
    told = done("publish", run, "--to", "hf-hub:someone/digits", "--license", "mit")
    assert "Nothing was sent. With --yes, someone/digits on the hub gets this card and" in told
    assert "## Figures" in told and "model.safetensors (" in told and not list(hub.iterdir())


def test_what_was_sent_is_what_timm_loads_from_the_hub(run, hub, monkeypatch):
    told = done("publish", run, "--to", "hf-hub:someone/digits", "--yes")
    assert "Sent to https://hub/someone/digits: README.md (" in told
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    model = timm.create_model("hf-hub:someone/digits", pretrained=True, cache_dir=hub)
    kept = load_file(run / "best" / "model.safetensors")
    assert all(torch.equal(weight, kept[name]) for name, weight in model.state_dict().items())


def test_a_folder_is_evaluated_like_the_run(run, tmp_path):
    publish(run, str(tmp_path / "called"))
    told = done("publish", run, "--to", tmp_path / "typed")
    assert "README.md, SHA256SUMS, config.json, graph.png, metrics.csv, model.safetensors, recipe.yaml" in told
    sentences = [
        done("eval", place, "--out", tmp_path / "eval", "--device", "cpu") for place in (run, tmp_path / "typed")
    ]
    assert sentences[0].split("top-1")[1] == sentences[1].split("top-1")[1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["RUN", "--to", "hf-hub:digits"], "--to must be hf-hub:OWNER/NAME, got 'hf-hub:digits'"),
        (["RUN", "--to", "folder", "--yes"], "--yes changes nothing: folder is a folder"),
        (["nowhere", "--to", "folder"], "nowhere is no finished run"),
    ],
)
def test_wrong_input_is_a_sentence(words, sentence, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, output = call("publish", *(run if word == "RUN" else word for word in words))
    assert status == 2 and sentence in output and not list(tmp_path.iterdir())
