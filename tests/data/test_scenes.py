"""The built-in scenes are what their annotations say."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from vig_pyg.data import scenes
from vig_pyg.data.scenes import draw_scene, write_scenes
from vig_pyg.train import load_digits


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("data") / "digits-scenes", train=6, val=3)


@pytest.mark.parametrize(("name", "count"), [("train", 6), ("val", 3)])
def test_boxes_masks_and_maps_agree(folder, name, count):
    coco = COCO(folder / "annotations" / f"instances_{name}.json")
    assert len(coco.imgs) == count and [c["name"] for c in coco.loadCats(coco.getCatIds())] == list("0123456789")
    for image in coco.imgs.values():
        pixels = Image.open(folder / "images" / name / image["file_name"])
        drawn = np.zeros((image["height"], image["width"]), dtype=int)
        annotations = coco.imgToAnns[image["id"]]
        assert pixels.size == (image["width"], image["height"]) and 1 <= len(annotations) <= 5
        for annotation in annotations:
            mask = coco.annToMask(annotation).astype(bool)
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            box = columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
            assert tuple(annotation["bbox"]) == box and annotation["area"] == mask.sum()
            assert not drawn[mask].any()  # a pixel belongs to one digit
            drawn[mask] = annotation["category_id"]
        segmentation = Image.open(folder / "segmentation" / name / image["file_name"].replace("jpg", "png"))
        assert (np.asarray(segmentation) == drawn).all()


def test_a_digit_lies_where_its_mask_is():
    digits = load_digits(64)
    background = np.full((128, 144, 3), 128, dtype=np.uint8)
    ink, labels = (digits.train_images + 1) / 2, digits.train_labels
    scene = draw_scene(background, ink, labels, np.random.default_rng(0))
    far = np.abs(scene.image.astype(int) - 128).mean(2)
    for mask in scene.masks:
        assert far[mask].mean() > 30
    assert far[~scene.masks.any(0)].mean() < 10
    assert set(np.unique(scene.segmentation)) == {0, *(digit + 1 for digit in scene.digits)}


def test_a_seed_repeats_and_another_differs(tmp_path):
    files = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        folder = write_scenes(tmp_path / name, train=2, val=1, seed=seed)
        files.append((folder / "images" / "train" / "000002.jpg").read_bytes())
    assert files[0] == files[1] != files[2]


def test_held_out_scenes_hold_held_out_digits_on_other_parts_of_the_photographs():
    train, test = scenes._digits(True)[0], scenes._digits(False)[0]
    seen = {digit.numpy().tobytes() for digit in train}
    assert sum(digit.numpy().tobytes() in seen for digit in test) <= 2  # some 8×8 digits exist twice
    assert len(train) + len(test) == 1797 and torch.equal(test, (load_digits(64).test_images + 1) / 2)
    for left, right in zip(scenes._photographs(True), scenes._photographs(False), strict=True):
        assert left.shape[1] + right.shape[1] == 640 and right.shape[1] >= max(scenes.SIDES)


def test_it_is_written_once_and_whole(folder, tmp_path, monkeypatch):
    before = (folder / "annotations" / "instances_val.json").stat().st_mtime_ns
    assert write_scenes(folder, train=6, val=3) == folder
    assert (folder / "annotations" / "instances_val.json").stat().st_mtime_ns == before
    with pytest.raises(FileExistsError, match=r"not of .*'seed': 1"):
        write_scenes(folder, train=6, val=3, seed=1)
    (tmp_path / "other").mkdir()
    with pytest.raises(FileExistsError, match="holds no digits-scenes"):
        write_scenes(tmp_path / "other", train=6, val=3)

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(json, "dumps", full)
    with pytest.raises(OSError, match="no space left"):
        write_scenes(tmp_path / "cut", train=2, val=1)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
