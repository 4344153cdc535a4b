"""The commands, as a person types them."""

import csv
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pandas as pd
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from typer.testing import CliRunner

import vig_pyg
from tests.data.written_folders import write_images
from tests.models.published import published_state
from vig_pyg.commands import app
from vig_pyg.data.images import LIMIT
from vig_pyg.graph import list_graphs
from vig_pyg.graph.random import RandomGraph
from vig_pyg.tasks import get_task
from vig_pyg.train import read_recipe

BRIEF = ["epochs=1", "warmup_epochs=0", "batch=240", "device_batch=60", "--device", "cpu"]


def call(*words: object):
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, " ".join(result.output.split())


def done(*words: object) -> str:
    """Return what a command says that does what it is asked for."""
    status, output = call(*words)
    assert status == 0, output
    return output


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "digits"
    done("train", "--conv", "gin", "--out", out, *BRIEF)
    return out


def test_train_says_what_it_does_and_where_it_wrote(tmp_path):
    output = done("train", "--data", "digits", "--out", tmp_path / "run", *BRIEF)
    assert "on digits: 10 classes, 1,438 images to train on, 359 held out" in output
    assert "batch 240 = 1 process(es) × 60 images × 4 step(s)" in output
    assert "learning rate 0.015 (scaled from 0.003 at a batch of 48)" in output
    assert "waiting for data" in output and f"Written to {tmp_path / 'run'}" in output


def test_the_recipe_of_a_run_trains_again(run, tmp_path):
    done("train", "--recipe", run / "recipe.yaml", "--out", tmp_path / "again", "--device", "cpu")
    files = [folder / "last" / "model.safetensors" for folder in (run, tmp_path / "again")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_folder_of_images_is_trained_on_from_published_weights(tmp_path):
    write_images(tmp_path / "images", 10)
    published = vig_pyg.ViG(32, channels=48, depth=4, stride=4, num_classes=5)
    torch.save(published_state(published), tmp_path / "weights.pth")
    words = ["--data", tmp_path / "images", "--model", "vig_micro", "--init", tmp_path / "weights.pth"]
    small = ["epochs=1", "warmup_epochs=0", "batch=8", "image_size=48", "workers=0", "--device", "cpu"]
    done("train", *words, "--out", tmp_path / "run", *small)
    assert read_recipe(tmp_path / "run" / "recipe.yaml").layer_decay == read_recipe("finetune").layer_decay
    assert json.loads((tmp_path / "run" / "best" / "config.json").read_text())["label_names"] == ["flower", "temple"]
    begun, name = load_file(tmp_path / "run" / "last" / "model.safetensors"), "blocks.0.ffn.fc1.linear.weight"
    weight = published.state_dict()[name]
    assert (begun[name] - weight).norm() < 0.1 * weight.norm() and len(begun["head.fc2.weight"]) == 2
    assert "of 4 images" in done("eval", tmp_path / "run", "--data", tmp_path / "images", "--out", tmp_path / "eval")


def test_a_hub_gives_the_weights_back(run, tmp_path, monkeypatch):
    snapshot = tmp_path / "models--someone--digits" / "snapshots" / "0123"  # as the hub's client keeps what it fetched
    shutil.copytree(run / "last", snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0123")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    model = timm.create_model("hf-hub:someone/digits", pretrained=True, cache_dir=tmp_path)
    kept = load_file(run / "last" / "model.safetensors")
    assert all(torch.equal(weight, kept[name]) for name, weight in model.state_dict().items())


def test_eval_counts_as_the_run_did(run, tmp_path):
    output = done("eval", run / "last", "--out", tmp_path / "eval", "--device", "cpu")
    rows = list(csv.reader((run / "metrics.csv").open()))
    assert f"top-1 {100 * float(rows[-1][2]):.2f} %" in output
    counts = pd.read_csv(tmp_path / "eval" / "confusion.csv", index_col=0).to_numpy()
    assert counts.sum() == 359
    assert counts.trace() / 359 == pytest.approx(float(rows[-1][2]))
    assert (tmp_path / "eval" / "confusion.png").stat().st_size > 1000


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_predict_reads_folders_and_names_what_does_not_decode(run, suffix, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        digit = Image.fromarray((load_digits().images[number] * 15).astype("uint8"))
        digit.resize((32, 32), Image.Resampling.BICUBIC).save(photos / f"{number}.png")
    (photos / "broken.png").write_bytes(b"no image")
    out = tmp_path / f"found.{suffix}"
    done("predict", run, photos, "--top", 3, "--batch", 2, "--out", out, "--device", "cpu")
    if suffix == "csv":
        rows = list(csv.DictReader(out.open()))
        assert [Path(row["file"]).name for row in rows] == ["0.png", "1.png", "2.png", "broken.png"]
        shares = [float(rows[0][f"share{place}"]) for place in (1, 2, 3)]
        assert rows[3]["error"] and not rows[0]["error"]
    else:
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        shares = [guess["share"] for guess in rows[0]["guesses"]]
        assert "error" in rows[3] and len(rows) == 4
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1
    assert "does not decode" in done("predict", run, photos / "*.png", "--top", 2, "--device", "cpu")


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


def test_export_writes_a_file(run, tmp_path):
    done("export", run, "--out", tmp_path / "model.onnx", "--dynamic-batch")
    assert (tmp_path / "model.onnx").stat().st_size > 100_000


def test_models_convs_and_info_are_tables():
    assert "pvig_base" in call("models")[1] and "max_relative" in call("convs")[1]
    status, output = call("info", "pvig_tiny")
    assert status == 0 and "10,714,376" in output and "1699.6" in output
    assert call("info", "vig_micro", "--conv", "gatv2")[0] == 0  # looks at values: cannot be counted without computing


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


def test_a_run_is_not_overwritten(run):
    before = (run / "last" / "model.safetensors").read_bytes()
    status, output = call("train", "--out", run, *BRIEF)
    assert status == 2 and "holds a run: add --resume" in output
    assert (run / "last" / "model.safetensors").read_bytes() == before


GRAPH = '''import vig_pyg


def row(x, layout, k=3):
    """Link every node to the k nearest of its row."""
    pos = layout.pos()
    pos[:, 1] *= 1000
    return vig_pyg.knn_graph(pos, k, layout.batch(), loop=True)
'''
SMALL = ("model_options.depth=1", "model_options.channels=16", "model_options.heads=2")


def test_a_graph_of_ones_own_is_trained_kept_and_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    (tmp_path / "rows_of_mine.py").write_text(GRAPH)
    assert "with rows_of_mine:row" in done("train", "--graph", "rows_of_mine:row", *SMALL, "--out", "run", *BRIEF)
    refused = "the graph 'rows_of_mine:row', whose module would be imported"
    for words in (("train", "--recipe", "run/recipe.yaml", "--out", "again"), ("eval", "run")):
        status, output = call(*words)
        assert status == 2 and refused in output, output
    output = done("train", "--recipe", "run/recipe.yaml", "--out", "again", "--trust", "--device", "cpu")
    runs = [(tmp_path / run / "last" / "model.safetensors").read_bytes() for run in ("run", "again")]
    assert runs[0] == runs[1]
    assert "of 359 images" in done("eval", "run", "--trust", "--out", "eval", "--workers", 0, "--device", "cpu")
    assert "blocks.3 (Block)" in done("info", "vig_micro", "--graph", "rows_of_mine:row")


@pytest.mark.parametrize("task", ["classify", "detect", "segment"])
def test_every_task_takes_a_graph(task, tmp_path):
    recipe = {"classify": "digits", "detect": "scenes", "segment": "scenes_segment"}[task]
    chosen = read_recipe(recipe, ["graph=random", "graph_options.seed=5"])
    model = get_task(task).build_model(chosen, SimpleNamespace(classes=["a", "b"], channels=1))
    graphs = {module for module in model.modules() if isinstance(module, RandomGraph)}
    assert len(graphs) == 4 and all(graph.seed == 5 for graph in graphs)


def test_graphs_are_listed():
    status, output = call("graphs")
    assert status == 0 and all(name in output for name in list_graphs())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--graph", "gird"], "no graph is called 'gird' (did you mean 'grid'?); known are"),
        (["--graph", "grid", "graph=knn"], "--graph and graph= are both given: leave one out"),
        (["--graph", "grid", "graph_options.kk=3"], "the graph 'grid' has no option 'kk' (did you mean 'k'?)"),
        (["--graph", "grid", "model_options.graph=knn"], "the recipe says 'grid' and model_options.graph 'knn'"),
    ],
)
def test_a_wrong_graph_is_one_sentence(words, sentence):
    status, output = call("train", *words, "--device", "cpu")
    assert status == 2 and sentence in output, output


def test_debug_shows_the_traceback_that_is_otherwise_a_sentence():
    status, output = call("predict", "nowhere", "x.png")
    assert status == 2 and "there are no weights in nowhere" in output
    result = CliRunner().invoke(app, ["--debug", "predict", "nowhere", "x.png"])
    assert isinstance(result.exception, FileNotFoundError) and result.exception.__traceback__ is not None
