"""Segmentation, as a person types it."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands.test_commands import call, done
from vig_pyg.data.scenes import write_scenes

SMALL = ["epochs=1", "warmup_epochs=0", "batch=4", "device_batch=4", "image_size=64", "head_options.channels=32"]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    folder = write_scenes(tmp_path_factory.mktemp("data") / "scenes", train=4, val=2)
    (folder / "segmentation").rename(folder / "masks")
    (folder / "classes.txt").write_text("\n".join(["background", *map(str, range(10))]))
    return folder


@pytest.fixture(scope="module")
def run(scenes, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    words = ["--task", "segment", "--recipe", "scenes_segment", "--data", scenes, "--out", out, "--device", "cpu"]
    output = done("train", *words, *SMALL)
    assert "Trains semantic_fpn on pvig_micro" in output and "11 classes, 4 images to train on, 2 held out" in output
    assert "miou" in output and "pixel_accuracy" in output
    return out


def test_eval_writes_iou_per_class(run, scenes, tmp_path):
    output = done("eval", run, "--data", scenes, "--out", tmp_path, "--workers", 0, "--device", "cpu")
    assert "mean IoU" in output and "of 2 images" in output
    with (tmp_path / "classes.csv").open() as file:
        rows = list(csv.DictReader(file))
    pixels = sum(int(row["pixels"]) for row in rows)
    masks = [np.array(Image.open(file)) for file in (scenes / "masks" / "val").iterdir()]
    assert [row["class"] for row in rows] == ["background", *map(str, range(10))]
    assert pixels == sum(mask.size for mask in masks)
    assert int(rows[0]["pixels"]) == sum((mask == 0).sum() for mask in masks)


def test_predict_writes_maps_and_overlays(run, scenes, tmp_path):
    done("predict", run, scenes / "images" / "val", "--out", tmp_path, "--device", "cpu")
    for file in (scenes / "images" / "val").iterdir():
        with Image.open(file) as image, Image.open(tmp_path / "maps" / f"{file.stem}.png") as drawn:
            assert drawn.size == image.size and drawn.mode == "P" and np.array(drawn).max() <= 10
        with Image.open(tmp_path / "overlays" / f"{file.stem}.png") as overlay:
            assert overlay.size == drawn.size and overlay.mode == "RGB"
    assert (tmp_path / "classes.csv").read_text().splitlines()[:3] == [
        "number,class,color",
        "0,background,#000000",
        "1,0,#800000",
    ]
    assert not list(tmp_path.rglob("*.partial"))


def test_wrong_inputs_get_one_sentence(run, scenes, tmp_path):
    status, output = call("predict", run, scenes / "images", "--out", tmp_path)
    assert status == 2 and "would both be written to 000001.png: take them one by one" in output
    status, output = call("train", "--task", "segment", "--data", tmp_path / "nowhere", "--out", tmp_path / "run")
    assert status == 2 and "there is no folder" in output
    status, output = call("train", "--task", "paint", "--out", tmp_path / "run")
    assert (
        status == 2 and "no task is called 'paint'; known are classify, detect, graphs, multilabel, segment" in output
    )
    for part in ("train", "val"):
        for name in ("images", "masks"):
            (tmp_path / "data" / name / part).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "data" / "images" / part / "one.png")
    status, output = call("eval", run, "--data", tmp_path / "data", "--out", tmp_path / "eval")
    assert status == 2 and "which belongs to" in output


def test_what_is_for_classifiers_names_the_task(run, tmp_path):
    status, output = call("export", run, "--out", tmp_path / "model.onnx")
    assert status == 2 and "holds no classifier: it was trained for the task 'segment'" in output
