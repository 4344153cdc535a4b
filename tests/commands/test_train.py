"""``vig-pyg train``, as a person types it."""

import csv
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file

import vig_pyg
from tests.commands.test_commands import BRIEF, call, done
from tests.data.written_folders import write_images
from tests.models.published import published_state
from vig_pyg.commands.train import announce
from vig_pyg.data.labeled import load_data
from vig_pyg.data.transforms import inference_transform
from vig_pyg.graph.random import RandomGraph
from vig_pyg.tasks import get_task
from vig_pyg.train import accelerator_for, read_recipe


def test_train_says_what_it_does_and_where_it_wrote(tmp_path):
    status, output = call("train", "--data", "digits", "--out", tmp_path / "run", *BRIEF)
    assert status == 0
    assert "on digits: 10 classes, 1,438 images to train on, 359 held out" in output
    assert "batch 240 = 1 process(es) × 60 images × 4 step(s)" in output
    assert "learning rate 0.015 (scaled from 0.003 at a batch of 48)" in output
    assert "waiting for data" in output and f"Written to {tmp_path / 'run'}" in output


def test_the_recipe_of_a_run_trains_again(run, tmp_path):
    status, _ = call("train", "--recipe", run / "recipe.yaml", "--out", tmp_path / "again", "--device", "cpu")
    assert status == 0
    files = [folder / "last" / "model.safetensors" for folder in (run, tmp_path / "again")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_folder_of_images_is_trained_on_from_published_weights(tmp_path):
    write_images(tmp_path / "images", 10)
    published = vig_pyg.ViG(32, channels=48, depth=4, stride=4, num_classes=5)
    torch.save(published_state(published), tmp_path / "weights.pth")
    words = ["--data", tmp_path / "images", "--model", "vig_micro", "--init", tmp_path / "weights.pth"]
    small = ["epochs=1", "warmup_epochs=0", "batch=8", "image_size=48", "workers=0", "--device", "cpu"]
    status, output = call("train", *words, "--out", tmp_path / "run", *small)
    assert status == 0, output
    assert read_recipe(tmp_path / "run" / "recipe.yaml").layer_decay == read_recipe("finetune").layer_decay
    assert json.loads((tmp_path / "run" / "best" / "config.json").read_text())["label_names"] == ["flower", "temple"]
    begun, name = load_file(tmp_path / "run" / "last" / "model.safetensors"), "blocks.0.ffn.fc1.linear.weight"
    weight = published.state_dict()[name]
    assert (begun[name] - weight).norm() < 0.1 * weight.norm() and len(begun["head.fc2.weight"]) == 2
    status, output = call("eval", tmp_path / "run", "--data", tmp_path / "images", "--out", tmp_path / "eval")
    assert status == 0 and "of 4 images" in output


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
    status, output = call("train", "--graph", "rows_of_mine:row", *SMALL, "--out", "run", *BRIEF)
    assert status == 0 and "with rows_of_mine:row" in output, output
    refused = "the graph 'rows_of_mine:row', whose module would be imported"
    for words in (("train", "--recipe", "run/recipe.yaml", "--out", "again"), ("eval", "run")):
        status, output = call(*words)
        assert status == 2 and refused in output, output
    status, output = call("train", "--recipe", "run/recipe.yaml", "--out", "again", "--trust", "--device", "cpu")
    assert status == 0, output
    runs = [(tmp_path / run / "last" / "model.safetensors").read_bytes() for run in ("run", "again")]
    assert runs[0] == runs[1]
    status, output = call("eval", "run", "--trust", "--out", "eval", "--workers", 0, "--device", "cpu")
    assert status == 0 and "of 359 images" in output, output
    status, output = call("info", "vig_micro", "--graph", "rows_of_mine:row")
    assert status == 0 and "blocks.3 (Block)" in output, output


@pytest.mark.parametrize("task", ["classify", "detect", "segment"])
def test_every_task_takes_a_graph(task, tmp_path):
    recipe = {"classify": "digits", "detect": "scenes", "segment": "scenes_segment"}[task]
    words = ["graph_options.seed=5", "--graph", "random", "--recipe", recipe]
    chosen = read_recipe(recipe, ["graph=random", "graph_options.seed=5"])
    kind = get_task(task)
    data = SimpleNamespace(classes=["a", "b"], channels=1)
    model = kind.build_model(chosen, data)
    graphs = {module for module in model.modules() if isinstance(module, RandomGraph)}
    assert len(graphs) == 4 and all(graph.seed == 5 for graph in graphs), words


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


def test_what_goes_on_is_announced_with_its_steps(capsys):
    recipe = read_recipe("digits", ["batch=48", "device_batch=16", "conv=gin"])
    task = get_task("classify")(get_task("classify").load_data(recipe), recipe)
    announce(task, "a line", torch.nn.Linear(9, 100), accelerator_for(recipe, "cpu"), Path("runs/one"), True)
    said = capsys.readouterr().out
    assert "Goes on training a line with gin (0.00 M parameters) on digits: 10 classes, 1,438 images" in said
    assert "batch 48 = 1 process(es) × 16 images × 3 step(s)" in said and "on cpu, float32, into runs/one" in said


OF_TWO_HEADS = (
    "model=mobilevig_tiny",
    "model_options.channels=[8,16]",
    "model_options.depths=[[1,1],[1,1]]",
    "model_options.steps=[2,2]",
    "model_options.hidden=16",
)


@torch.no_grad()
def test_what_learned_from_a_teacher_answers_with_the_mean_of_both_heads(run, tmp_path):
    out = tmp_path / "student"
    with torch.enable_grad():
        done("train", "--recipe", "mobilevig", "--out", out, *OF_TWO_HEADS, f"teacher={run}", "data=digits", *BRIEF)
    model = timm.create_model(f"local-dir:{out / 'best'}", pretrained=True).eval()
    images, labels = load_data("digits").test.images, load_data("digits").test.labels
    features = model.forward_head(model.forward_features(images), pre_logits=True)
    means = (model.head.fc2(features) + model.head.fc2_dist(features)) / 2
    share = 100 * (means.argmax(1) == labels).float().mean()
    assert f"top-1 {share:.2f} %," in done("eval", out, "--out", tmp_path / "eval", "--workers", 0, "--device", "cpu")
    Image.fromarray((torch.arange(32 * 32).view(32, 32) % 251).byte().numpy()).save(tmp_path / "image.png")
    done("predict", out, tmp_path / "image.png", "--out", tmp_path / "found.csv", "--device", "cpu")
    row = next(csv.DictReader((tmp_path / "found.csv").open()))
    image = inference_transform(model)(Image.open(tmp_path / "image.png"))[None]
    features = model.forward_head(model.forward_features(image), pre_logits=True)
    best, place = ((model.head.fc2(features) + model.head.fc2_dist(features)) / 2).softmax(1)[0].max(0)
    assert row["class1"] == str(place.item()) and float(row["share1"]) == pytest.approx(best.item(), abs=1e-5)


@pytest.mark.parametrize("name", ["mobilevigv2", "greedyvig", "adaptvig", "wignet"])
def test_recipes_of_papers_train_by_name(name, tmp_path):
    words = (*OF_TWO_HEADS, "teacher=null", "data=digits", "image_size=16", *BRIEF, "batch=1200")
    assert "learning rate 0.00234 (scaled from 0.002 at a batch of 1024)" in done(
        "train", "--recipe", name, "--out", tmp_path / "run", *words
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            [*OF_TWO_HEADS, "teacher=nowhere"],
            "the teacher 'nowhere' is neither a model that timm knows nor the folder of a run",
        ),
        (["teacher=RUN"], "vig_micro has one classifier, and none that learns from a teacher: take one with two"),
        (["teacher_share=0.4"], "teacher_share changes nothing: there is no teacher"),
        (["teacher=RUN", "teacher_share=0"], "teacher_share must be above 0 and at most 1, got 0"),
    ],
)
def test_a_wrong_teacher_is_one_sentence(words, sentence, run, tmp_path):
    status, output = call("train", "--out", tmp_path / "run", *(w.replace("RUN", str(run)) for w in words), *BRIEF)
    assert status == 2 and sentence in output and not (tmp_path / "run").exists(), output
