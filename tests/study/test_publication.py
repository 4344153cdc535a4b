"""What others get of a run says what the run says."""

import csv
import json
import shutil

import pytest
import timm
import torch
import yaml

import vig_pyg  # noqa: F401  (registers the models)
from vig_pyg.manifest import DamagedError, check
from vig_pyg.study.publication import card, loading, read_run, write_publication
from vig_pyg.tasks import get_task
from vig_pyg.train import accelerator_for, fit, load_data, read_recipe
from vig_pyg.train.fit import _task_of

BRIEF = ["epochs=2", "warmup_epochs=0", "batch=240", "device_batch=60", "model_options.depth=2"]


def run_of(recipe, out):
    task = _task_of(recipe, get_task(recipe.task).load_data(recipe))
    torch.manual_seed(0)
    fit(task.build_model(recipe, task.data), task, recipe, out, accelerator=accelerator_for(recipe, "cpu"))
    return out


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_of(read_recipe("digits", BRIEF), tmp_path_factory.mktemp("runs") / "digits")


@pytest.fixture(scope="module")
def published(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("published") / "digits"
    files = write_publication(run, out, "hf-hub:someone/digits", "mit")
    assert files == sorted(out.iterdir())
    return out


def test_the_weights_are_the_runs_and_sealed(run, published):
    for name in ("config.json", "model.safetensors", "recipe.yaml"):
        check(published / name, required=True)
    ours, theirs = (timm.create_model(f"local-dir:{f}", pretrained=True) for f in (published, run / "best"))
    assert all(torch.equal(w, theirs.state_dict()[name]) for name, w in ours.state_dict().items())


def test_the_card_has_the_figures_of_the_best_epoch(run, published):
    text = (published / "README.md").read_text()
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    best = max(rows, key=lambda row: (float(row["accuracy"]), int(row["epoch"])))
    assert f"after epoch {best['epoch']} of 2" in text and f"| accuracy | {float(best['accuracy']):.4f} |" in text
    assert f"| top5 | {float(best['top5']):.4f} |" in text
    split = load_data("digits").test
    model = timm.create_model(f"local-dir:{published}", pretrained=True).eval()
    with torch.no_grad():
        right = (model(split.images).argmax(1) == split.labels).float().mean().item()
    assert f"| accuracy | {right:.4f} |" in text


def test_the_card_says_all_that_a_reader_asks(run, published):
    text = (published / "README.md").read_text()
    header = yaml.safe_load(text.split("---")[1])
    assert header["license"] == "mit" and header["library_name"] == "timm" and "image-classification" in header["tags"]
    for part in ("Model", "Figures", "Load", "Data", "Recipe", "Machine", "Limits", "License"):
        assert f"\n## {part}\n" in text
    setting = json.loads((run / "run.json").read_text())
    assert setting["processor"] in text and setting["versions"]["torch"] in text and "learning_rate: 0.003" in text
    assert 'timm.create_model("hf-hub:someone/digits", pretrained=True)' in text and "](graph.png)" in text
    assert (published / "graph.png").read_bytes()[1:4] == b"PNG"


def test_without_a_license_the_card_says_so(run):
    text = card(read_run(run), "hf-hub:someone/digits")
    assert "None is stated for these weights" in text and "license:" not in text.split("---")[1]


def test_paths_of_this_machine_stay_here(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    recipe = tmp_path / "run" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("data_root: data", "data_root: /home/someone/secret/photos"))
    (tmp_path / "run" / "SHA256SUMS").unlink()
    out = tmp_path / "out"
    write_publication(tmp_path / "run", out, str(out))
    assert yaml.safe_load((out / "recipe.yaml").read_text())["data_root"] == "photos"
    for here in (b"someone/secret", bytes(tmp_path)):
        assert not any(here in file.read_bytes() for file in out.iterdir())
    assert "local-dir:PATH/TO/THIS/FOLDER" in (out / "README.md").read_text()


def test_other_tasks_are_published_too(tmp_path):
    words = ["model=vig_micro", "epochs=1", "warmup_epochs=0", "data=shapes", "model_options.depth=1"]
    recipe = read_recipe("points", words)
    run = run_of(recipe, tmp_path / "run")
    write_publication(run, tmp_path / "out", "hf-hub:a/b")
    text = (tmp_path / "out" / "README.md").read_text()
    assert loading("hf-hub:a/b", False, "graphs") in text and 'get_task("graphs")' in text and "graph.png" not in text
    assert len(get_task("graphs").load(tmp_path / "out").classes) > 1


def test_what_is_no_run_or_not_empty_is_refused(run, published, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is no finished run: it has no recipe.yaml"):
        write_publication(tmp_path, tmp_path / "out", "x")
    with pytest.raises(FileExistsError, match="is not empty"):
        write_publication(run, published, "x")
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "best" / "model.safetensors").write_bytes(b"x")
    with pytest.raises(DamagedError, match="is damaged"):
        write_publication(tmp_path / "run", tmp_path / "out", "x")
    assert not (tmp_path / "out").exists()
