"""Annotations in COCO's format are checked, each wrong one named."""

import numpy as np
import pytest
from pycocotools import mask as rle

from tests.data.test_coco import change
from vig_pyg.data.annotations import _decoded
from vig_pyg.data.coco import load_coco


def runs(counts):
    return change("annotations", segmentation={"size": [40, 60], "counts": counts})


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
        (lambda content: content["images"][0].pop("file_name"), "file_name of image 1 must be text, it has none"),
        (change("images", file_name=7), "file_name of image 1 must be text, got 7"),
        (change("images", file_name="x" * 5000), "image 1 has no file"),
        (lambda content: content["images"][0].pop("width"), "width of image 1 must be a number of pixels, it has none"),
        (change("images", height=40.5), "height of image 1 must be a number of pixels, got 40.5"),
        (change("images", height=-40), "height of image 1 must be a number of pixels, got -40"),
        (change("images", id=2), "two of the images have the id 2"),
        (change("images", id="one"), r"images\[0\] has no whole number as id"),
        (change("annotations", image_id=[1]), r"annotation 1 is of image \[1\], which is not listed"),
        (change("annotations", bbox=[3, 4, float("inf"), 5]), r"annotation 1 has the box \[3, 4, inf, 5\]"),
        (change("annotations", bbox=[3, 4, 10**400, 5]), "annotation 1 has the box"),
        (change("annotations", bbox="3456"), "annotation 1 has the box '3456'"),
        (change("annotations", iscrowd="no"), "iscrowd of annotation 1 must be 0 or 1, got 'no'"),
        (change("annotations", area=-1), "area of annotation 1 must be a number of pixels, got -1"),
        (change("annotations", area=None), "area of annotation 1 must be a number of pixels, got None"),
        (runs(None), "annotation 1 has a mask whose counts are no run lengths: None"),
        (runs([1.5, 2398.5]), r"annotation 1 has a mask whose counts are no run lengths: \[1.5"),
        (runs("\x01"), "annotation 1 has a mask whose counts are no run lengths"),
        (runs([-100, 2500]), "annotation 1 has a mask with a negative run length, -100"),
        (runs([100, 200]), "annotation 1 has run lengths that add up to 300, but its image has 2400 pixels"),
        (runs([10**400]), "annotation 1 has run lengths that add up to 1000"),
        (runs(""), "annotation 1 has run lengths that add up to 0, but its image has 2400 pixels"),
        (change("annotations", segmentation=[7]), "annotation 1 has a polygon that is not"),
        (change("annotations", segmentation=[[1, 2, 3, 4, 5, None]]), "annotation 1 has a polygon that is not"),
        (change("annotations", segmentation=[[1, 2, 3, 4, 5, 1e9]]), r"annotation 1 has a polygon that goes to 1e\+09"),
        (change("annotations", segmentation="x"), "annotation 1 has a polygon that is not"),
        (change("annotations", id=None), r"annotations\[0\] has no whole number as id"),
        (lambda content: content.update(annotations={"a": 1}), r"annotations must be a list, got {'a': 1}"),
        (lambda content: content["categories"].append(4), r"categories\[2\] has no whole number as id"),
        (change("categories", name="ball"), "the two parts of .* have other classes: 7"),
        (lambda content: content.pop("annotations"), "is not in COCO's format: annotations must be a list, got None"),
        (lambda content: content["annotations"].clear(), "names no image with an object"),
    ],
)
def test_wrong_annotations_are_named(wrong, sentence, coco_folder):
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        load_coco(str(coco_folder(wrong)))


@pytest.mark.parametrize("content", ["[" * 100_000, "[1, 2]", "{", "7", '{"images": ' + "9" * 5000 + "}", ""])
def test_what_is_no_object_of_json_is_one_sentence(content, coco_folder):
    folder = coco_folder()
    (folder / "annotations" / "instances_train2017.json").write_text(content)
    with pytest.raises(ValueError, match=r"instances_train2017.json.* is not in COCO's format: ") as caught:
        load_coco(str(folder))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_run_lengths_are_read_as_cocos_tools_read_them():
    random = np.random.default_rng(0)
    for _ in range(50):
        mask = np.asfortranarray(random.random((37, 53)) < random.random(), dtype=np.uint8)
        flat = mask.flatten(order="F")
        edges = np.flatnonzero(np.diff(flat)) + 1
        expected = np.diff([0, *([0] if flat[0] else []), *edges, flat.size]).tolist()
        assert _decoded(rle.encode(mask)["counts"].decode()) == expected
