"""Annotations are read as they are drawn, checked, and survive every transform."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from tests.detection.conftest import SIZE
from vig_pyg.detection.coco import load_coco
from vig_pyg.detection.task import Objects
from vig_pyg.train.sampler import Draw


def test_objects_are_those_of_the_file(coco_folder):
    data = load_coco(str(coco_folder()))
    assert data.classes == ["block", "wedge"] and list(data.train.categories) == [3, 7]
    assert data.train.ids == [1, 2] and data.test.ids == [1, 2, 3]  # nothing is learnt from an empty image
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


def test_objects_without_area_are_not_learnt(coco_folder):
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


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (change("annotations", bbox=[60, 10, 5, 5]), r"annotation 1 has the box \[60, 10, 5, 5\] outside of image 1"),
        (change("annotations", bbox=[3, 4, -5, 5]), r"annotation 1 has the box \[3, 4, -5, 5\]: it must be left, top"),
        (change("annotations", bbox=[3, 4, 5]), r"annotation 1 has the box \[3, 4, 5\]"),
        (change("annotations", category_id=5), "annotation 1 is of category 5, which is not listed"),
        (change("annotations", image_id=9), "annotation 1 is of image 9, which is not listed"),
        (
            change("annotations", segmentation={"size": [40, 50], "counts": "a"}),
            r"annotation 1 has a mask of \[40, 50\]",
        ),
        (change("annotations", segmentation=[[1, 2, 3, 4]]), "annotation 1 has a polygon that is not"),
        (change("annotations", segmentation=[]), "annotation 1 has no mask, but mask_rcnn learns masks"),
        (change("images", file_name="gone.png"), r"image 1 has no file .*gone.png"),
        (change("annotations", bbox=[-10, 5, 9, 20]), r"annotation 1 has the box \[-10, 5, 9, 20\] outside of image 1"),
        (change("categories", name="ball"), "the two parts of .* have other classes: 7"),
        (lambda content: content.pop("annotations"), "is not in COCO's format: annotations must be a list, got None"),
        (lambda content: content["annotations"].clear(), "names no image with an object"),
    ],
)
def test_wrong_annotations_are_named(wrong, sentence, coco_folder):
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        load_coco(str(coco_folder(wrong)))


@pytest.mark.parametrize("bbox", [[-10, 5, 10, 20], [59, 5, 0, 20], [5, -7, 20, 7]])
def test_a_box_without_area_in_the_image_teaches_nothing(bbox, coco_folder):
    _, target = load_coco(str(coco_folder(change("annotations", bbox=bbox)))).train[0]
    assert target["boxes"].tolist() == [[5, 5, 25, 25]]  # the other object of the image


def test_an_image_of_another_size_is_refused(coco_folder):
    folder = coco_folder()
    Image.new("RGB", (61, 40)).save(folder / "train2017" / "001.png")
    with pytest.raises(ValueError, match=r"image 1, .*001.png, has 61×40 pixels, not 60×40 as annotated"):
        load_coco(str(folder))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder 'nowhere'"):
        load_coco("nowhere")
    with pytest.raises(FileNotFoundError, match=r"no annotations/instances_train\*.json"):
        load_coco(str(tmp_path))
