"""Annotations are read as they are drawn, checked, and survive every transform."""

import os

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from tests.data.broken import bomb
from tests.data.written_coco import SIZE
from vig_pyg.data.coco import load_coco
from vig_pyg.data.samplers import Draw
from vig_pyg.tasks.detection import Objects


def test_objects_are_those_of_the_file(coco_folder):
    data = load_coco(str(coco_folder()))
    assert data.classes == ["block", "wedge"] and list(data.train.categories) == [3, 7]
    assert data.train.ids == [1, 2] and data.test.ids == [1, 2, 3]  # nothing is learned from an empty image
    image, target = data.train[0]
    assert image.shape == (3, *SIZE) and target["labels"].tolist() == [0, 1]
    assert target["boxes"].tolist() == [[30, 10, 50, 20], [5, 5, 25, 25]]
    square = torch.zeros(SIZE, dtype=torch.uint8)
    square[10:20, 30:50] = 1
    assert torch.equal(target["masks"][0], square)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    triangle = torch.from_numpy((columns > 5) & (rows > 5) & (columns + rows < 30))
    assert (target["masks"][1].bool() ^ triangle).sum() <= 20  # along the slope, COCO's rounding decides


def test_crowds_count_in_evaluation_only(coco_folder):
    data = load_coco(str(coco_folder()))
    assert data.train[1][1]["iscrowd"].tolist() == [0] and data.test[1][1]["iscrowd"].tolist() == [0, 1]
    empty = data.test[2][1]
    assert empty["boxes"].shape == (0, 4) and empty["masks"].shape == (0, *SIZE)


def test_boxes_end_where_the_image_does(coco_folder):
    def wider(content):
        content["annotations"][0]["bbox"] = [30, 10, 31.5, 10]

    assert load_coco(str(coco_folder(wider))).train[0][1]["boxes"][0].tolist() == [30, 10, 60, 20]


def test_objects_without_area_are_not_learned(coco_folder):
    def flat(content):
        content["annotations"][0]["bbox"][3] = 0

    assert load_coco(str(coco_folder(flat))).train[0][1]["labels"].tolist() == [1]


def tight(mask: torch.Tensor) -> list[float]:
    rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_boxes_and_masks_survive_the_transforms(coco_folder):
    data = load_coco(str(coco_folder()))
    plain, flipped = (Objects(data.train, flip).__getitems__([Draw(0, 0)]) for flip in (0.0, 1.0))
    assert torch.equal(flipped.images[0], plain.images[0].flip(2)) and plain.images[0].max() <= 1
    assert torch.equal(flipped.targets[0]["masks"], plain.targets[0]["masks"].flip(2))
    resize = GeneralizedRCNNTransform(100, 120, [0.0] * 3, [1.0] * 3)
    for batch in (plain, flipped):
        for mask, box in zip(batch.targets[0]["masks"], batch.targets[0]["boxes"], strict=True):
            assert tight(mask) == pytest.approx(box.tolist(), abs=1)
        images, targets = resize(batch.images, batch.targets)
        assert images.image_sizes == [(80, 120)]  # the longer side is 120 at most
        for mask, box in zip(targets[0]["masks"], targets[0]["boxes"], strict=True):
            assert tight(mask) == pytest.approx(box.tolist(), abs=2)


def test_a_seed_decides_the_flip(coco_folder):
    objects = Objects(load_coco(str(coco_folder())).train, 0.5)
    drawn = [objects.__getitems__([Draw(0, seed)]).targets[0]["boxes"][0, 0].item() for seed in (*range(8), *range(8))]
    assert drawn[:8] == drawn[8:] and set(drawn) == {30.0, 10.0}


def test_what_does_not_decode_is_replaced_in_training_only(coco_folder):
    data = load_coco(str(coco_folder()))
    for part in (data.train, data.test):
        part.path(1).write_bytes(b"no image")
    batch = Objects(data.train).__getitems__([Draw(0, 5)])
    assert batch.targets[0]["image_id"] == 2 and batch.broken == [str(data.train.path(1))]
    batch = Objects(data.test).__getitems__([Draw(0, None), Draw(1, None), Draw(-1, None)])
    assert [target["image_id"] for target in batch.targets] == [2] and batch.broken == [str(data.test.path(1))]


def change(place, **values):
    return lambda content: content[place][0].update(values)


@pytest.mark.parametrize("bbox", [[-10, 5, 10, 20], [59, 5, 0, 20], [5, -7, 20, 7]])
def test_a_box_without_area_in_the_image_teaches_nothing(bbox, coco_folder):
    _, target = load_coco(str(coco_folder(change("annotations", bbox=bbox)))).train[0]
    assert target["boxes"].tolist() == [[5, 5, 25, 25]]  # the other object of the image


def test_an_image_of_another_size_is_refused(coco_folder):
    folder = coco_folder()
    Image.new("RGB", (61, 40)).save(folder / "train2017" / "001.png")
    with pytest.raises(ValueError, match=r"image 1, .*001.png, has 61×40 pixels, not 60×40 as annotated"):
        load_coco(str(folder))


def test_boxes_are_those_of_the_upright_image(coco_folder):
    folder = coco_folder()
    exif = Image.Exif()
    exif[0x0112] = 6
    noise = np.random.default_rng(0).integers(256, size=(*SIZE[::-1], 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "train2017" / "001.png", exif=exif)  # stored on its side
    image, target = load_coco(str(folder)).train[0]
    np.testing.assert_array_equal(image.permute(1, 2, 0), np.rot90(noise, -1))
    assert target["masks"].shape[1:] == image.shape[1:] == SIZE
    Image.fromarray(np.rot90(noise).copy()).save(folder / "train2017" / "001.png", exif=exif)
    with pytest.raises(ValueError, match=r"has 40×60 pixels \(upright, as EXIF turns it\), not 60×40 as annotated"):
        load_coco(str(folder))


def test_a_file_to_train_on_is_not_held_out(coco_folder):
    folder = coco_folder()
    (folder / "val2017" / "001.png").unlink()
    (folder / "val2017" / "001.png").symlink_to(folder / "train2017" / "001.png")
    with pytest.raises(ValueError, match="are one file, but the one is to train on and the other held out"):
        load_coco(str(folder))


def test_a_decompression_bomb_is_refused(coco_folder):
    folder = coco_folder(change("images", width=30_000, height=30_000))
    bomb(folder / "train2017" / "001.png")
    with pytest.raises(ValueError, match=r"001.png does not decode: Image size \(900000000 pixels\) exceeds limit"):
        load_coco(str(folder), masks=False)


def test_a_pipe_among_images_is_refused(coco_folder):
    folder = coco_folder()
    (folder / "train2017" / "001.png").unlink()
    os.mkfifo(folder / "train2017" / "001.png")
    with pytest.raises(ValueError, match=r"001.png is no regular file"):
        load_coco(str(folder))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder 'nowhere'"):
        load_coco("nowhere")
    with pytest.raises(FileNotFoundError, match=r"no annotations/instances_train\*.json"):
        load_coco(str(tmp_path))
