"""The commands on detectors, as a person types them."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.commands.test_commands import call, done
from vig_pyg.data.scenes import write_scenes
from vig_pyg.detection import load_detector

TINY = ["epochs=1", "batch=4", "device_batch=2", "head_options.channels=16", "model_options.channels=[8,16,32]"]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("data") / "scenes", train=8, val=3)


@pytest.fixture(scope="module", params=["retinanet", "mask_rcnn"])
def run(request, scenes, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / request.param
    recipe = "scenes" if request.param == "retinanet" else "scenes_masks"
    threshold = "score_thresh" if request.param == "retinanet" else "box_score_thresh"
    words = ["--recipe", recipe, "--data", scenes, *TINY, f"head_options.{threshold}=0.0", "--device", "cpu"]
    output = done("train", "--task", "detect", "--head", request.param, "--out", out, *words)
    assert f"Trains {request.param} on pvig_micro" in output and "10 classes, 8 images to train on, 3 held" in output
    assert "Box ap" in output and (out / "curves.png").exists()
    return out


def test_eval_prints_cocos_figures(run, scenes, tmp_path):
    output = done("eval", run, "--data", scenes, "--out", tmp_path / "eval", "--workers", 0, "--device", "cpu")
    assert "ap50" in output and "ar_medium" in output and ("mask" in output) == (run.name == "mask_rcnn")
    figures = json.loads((tmp_path / "eval" / "figures.json").read_text())
    rows = next(csv.DictReader((run / "metrics.csv").open()))
    assert all(float(rows[name]) == pytest.approx(value) for name, value in figures.items())
    assert len(list(csv.reader((tmp_path / "eval" / "classes.csv").open()))) == 11


def test_eval_at_another_size(run, scenes, tmp_path):
    words = ["--data", scenes, "--out", tmp_path / "eval", "--workers", 0, "--device", "cpu"]
    assert "3 images" in done("eval", run, *words, "--image-size", 64)
    transform = load_detector(run, 64)[0].transform
    assert transform.min_size == (64,) and transform.max_size == 80
    assert load_detector(run)[0].transform.max_size == 160


def test_predict_writes_cocos_results_and_pictures(run, scenes, tmp_path):
    shutil.copytree(scenes / "images" / "val", tmp_path / "photos")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no image")
    out = tmp_path / "found"
    assert "does not decode" in done("predict", run, tmp_path / "photos", "--score", 0, "--out", out, "--device", "cpu")
    results = json.loads((out / "detections.json").read_text())
    assert {result["image_id"] for result in results} == {1, 2, 3} and results[0]["file_name"] == "000001.jpg"
    assert all(1 <= result["category_id"] <= 10 and 0 <= result["score"] <= 1 for result in results)
    assert all(("segmentation" in result) == (run.name == "mask_rcnn") for result in results)
    pictures = sorted(path.name for path in out.glob("*.png"))
    assert pictures == ["000001.png", "000002.png", "000003.png"]
    assert min(Image.open(out / pictures[0]).size) >= 480


def test_predict_numbers_images_by_their_names_only_where_all_are_numbers(run, scenes, tmp_path):
    for name in ("2.jpg", "b.jpg"):
        (tmp_path / "photos").mkdir(exist_ok=True)
        shutil.copy(scenes / "images" / "val" / "000001.jpg", tmp_path / "photos" / name)
    words = ["--score", 0, "--device", "cpu", "--out", tmp_path / "found"]
    assert call("predict", run, tmp_path / "photos", *words)[0] == 0
    results = json.loads((tmp_path / "found" / "detections.json").read_text())
    assert {(result["image_id"], result["file_name"]) for result in results} == {(1, "2.jpg"), (2, "b.jpg")}
    shutil.copytree(tmp_path / "photos", tmp_path / "photos" / "more")
    status, output = call("predict", run, tmp_path / "photos", *words)
    assert status == 2 and "would both be written to 2.png" in output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--task", "find"], "known are classify, detect, graphs, multilabel, segment"),
        (["--head", "yolo"], "head must be one of retinanet, mask_rcnn, got 'yolo'"),
        (["--task", "detect", "--head", "yolo"], "head must be one of retinanet, mask_rcnn, got 'yolo'"),
        (["--task", "detect", "--data", "nowhere"], "there is no folder 'nowhere'; data may be digits-scenes"),
        (["--task", "detect", "max_size=100"], "max_size must be at least min_size=128, got 100"),
        (["--task", "detect", "decay_epochs=[3,2]"], "decay_epochs must be a rising list"),
        (["--recipe", "coco_1x", "--model", "vig_micro"], "needs feature maps of rising strides"),
        (["--recipe", "scenes", "head_options.wings=2"], "RetinaNet has no option 'wings'"),
    ],
)
def test_wrong_input_is_named(words, sentence, scenes, tmp_path):
    data = [] if {"--data", "--task", "--head"} & set(words) else ["--data", scenes]
    status, output = call("train", *words, *data, "--out", tmp_path / "run", "--device", "cpu")
    assert status == 2 and sentence in output, output
