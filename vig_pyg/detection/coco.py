"""Images with boxes and masks in COCO's layout, checked before anything is trained on them."""

from __future__ import annotations

import io
import logging
import math
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchvision.datasets import CocoDetection
from torchvision.tv_tensors import BoundingBoxes, Image, Mask

from vig_pyg.detection.scenes import SCENES, write_scenes
from vig_pyg.train.data import size_of

log = logging.getLogger(__name__)


class Coco(NamedTuple):
    """A data set for detection: images with objects to train on and held out, and the names of the classes."""

    name: str
    train: CocoImages
    test: CocoImages
    classes: list[str]


class CocoImages(CocoDetection):
    """Images and their objects: a tensor ``[3, H, W]`` of bytes, and a dictionary about its ``N`` objects.

    The dictionary holds ``boxes [N, 4]`` (left, top, right, bottom), ``labels [N]`` (the place of the category among
    all, by number), ``masks [N, H, W]``, ``area`` and ``iscrowd [N]``, and ``image_id``; ``categories`` holds the
    names by their numbers. Boxes end where the image does. For training, crowds, objects without area and images
    without an object are left out; for evaluation all stay, as COCO's tools want it.

    Args:
        images: The folder of the images.
        annotations: COCO's JSON of instances.
        training: Leave out what nothing can be learnt from.
        masks: Read masks.

    Raises:
        FileNotFoundError: an image has no file.
        ValueError: the annotations are none, one is impossible, or an image has another size; names it by its number.
    """

    ids: list[int]

    def __init__(self, images: Path, annotations: Path, training: bool, masks: bool = True) -> None:
        try:
            with redirect_stdout(io.StringIO()):  # COCO's tools print
                super().__init__(images, str(annotations))
            self.categories = {number: str(self.coco.cats[number]["name"]) for number in sorted(self.coco.cats)}
            kept = [entry for entry in self.coco.dataset["annotations"] if self._counts(entry, training, masks)]
        except (KeyError, TypeError, AssertionError, UnicodeDecodeError) as error:
            raise ValueError(f"{annotations} is not in COCO's format: {type(error).__name__} {error}") from error
        except ValueError as error:
            raise ValueError(f"{annotations}: {error}") from error
        self.masks = masks
        self.objects: dict[int, list[Any]] = {number: [] for number in self.ids}
        for entry in kept:
            self.objects[entry["image_id"]].append(entry)
        present = {path.relative_to(images).as_posix() for path in images.rglob("*")}
        for number in self.ids:
            self._check_file(number, present)
        if training:
            self.ids = [number for number in self.ids if self.objects[number]]
        if not self.ids:
            raise ValueError(f"{annotations} names no image{' with an object' if training else ''}")

    def path(self, number: int) -> Path:
        """Return the file of an image, by its number in the annotations."""
        return Path(self.root) / self.coco.imgs[number]["file_name"]

    def __getitem__(self, index: int) -> tuple[Image, dict[str, Any]]:
        number = self.ids[index]
        image, info = Image(self._load_image(number)), self.coco.imgs[number]
        size = info["height"], info["width"]
        objects, labels = self.objects[number], {category: label for label, category in enumerate(self.categories)}
        corners = torch.tensor([entry["bbox"] for entry in objects], dtype=torch.float32).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        corners[:, 0::2].clamp_(0, size[1])
        corners[:, 1::2].clamp_(0, size[0])
        target: dict[str, Any] = {
            "image_id": number,
            "boxes": BoundingBoxes(corners, format="XYXY", canvas_size=size),
            "labels": torch.tensor([labels[entry["category_id"]] for entry in objects], dtype=torch.int64),
            "area": torch.tensor([_area(entry) for entry in objects], dtype=torch.float32),
            "iscrowd": torch.tensor([entry.get("iscrowd", 0) for entry in objects], dtype=torch.int64),
        }
        if self.masks:
            drawn = [torch.from_numpy(self.coco.annToMask(entry)) for entry in objects]
            target["masks"] = Mask(torch.stack(drawn) if drawn else torch.zeros(0, *size, dtype=torch.uint8))
        return image, target

    def _check_file(self, number: int, present: set[str]) -> None:
        path, info = self.path(number), self.coco.imgs[number]
        if info["file_name"] not in present:
            raise FileNotFoundError(f"image {number} has no file {path}")
        size, annotated = size_of(path), (info["width"], info["height"])
        if size not in (None, annotated):
            shown = [f"{width}×{height}" for width, height in (size, annotated)]
            raise ValueError(f"image {number}, {path}, has {shown[0]} pixels, not {shown[1]} as annotated")

    def _counts(self, entry: dict[str, Any], training: bool, masks: bool) -> bool:
        """Return whether an annotation is used; refuse one that is impossible."""
        what, info = f"annotation {entry['id']}", self.coco.imgs.get(entry["image_id"])
        if info is None:
            raise ValueError(f"{what} is of image {entry['image_id']}, which is not listed")
        if entry["category_id"] not in self.coco.cats:
            raise ValueError(f"{what} is of category {entry['category_id']}, which is not listed")
        box, size = entry["bbox"], [info["height"], info["width"]]
        if len(box) != 4 or not all(math.isfinite(number) for number in box) or min(box[2:]) < 0:
            raise ValueError(f"{what} has the box {box}: it must be left, top, width and height in pixels")
        left, top, width, height = box
        if left >= size[1] or top >= size[0] or left + width < 0 or top + height < 0:
            raise ValueError(f"{what} has the box {box} outside of image {info['id']}, which is {size} high and wide")
        if masks:
            _check_mask(what, entry.get("segmentation"), size)
        empty = min(left + width, size[1]) <= max(left, 0) or min(top + height, size[0]) <= max(top, 0)
        return not (training and (entry.get("iscrowd", 0) or empty))


def _check_mask(what: str, mask: Any, size: list[int]) -> None:
    if not mask:
        raise ValueError(f"{what} has no mask, but mask_rcnn learns masks: take retinanet")
    if isinstance(mask, dict):
        if list(mask["size"]) != size:
            raise ValueError(f"{what} has a mask of {list(mask['size'])} for an image of {size} height and width")
    elif any(len(polygon) < 6 or len(polygon) % 2 for polygon in mask):
        raise ValueError(f"{what} has a polygon that is not x and y of three points or more")


def _area(entry: dict[str, Any]) -> float:
    """Return an object's area in pixels, by which COCO's figures tell small, medium and large apart."""
    return entry.get("area", entry["bbox"][2] * entry["bbox"][3])


def load_coco(name: str, root: str = "data", masks: bool = True) -> Coco:
    """Return a data set for detection.

    Args:
        name: ``digits-scenes``, or a folder with ``annotations/instances_train*.json`` and ``…_val*.json`` whose
            images lie in a folder named as the rest of the name (COCO's ``train2017``), in ``images/`` or in a folder
            of that name in ``images/``.
        root: Where ``digits-scenes`` is written.
        masks: Read masks.

    Raises:
        FileNotFoundError: there is no such folder, or it lacks annotations or images.
        ValueError: the annotations are wrong, see :class:`CocoImages`, or the two parts have other classes.
    """
    folder = write_scenes(Path(root) / name) if name == SCENES else Path(name)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {name!r}; data may be digits-scenes or a folder in COCO's layout")
    train, test = (_part(folder, part, masks) for part in ("train", "val"))
    if train.categories != test.categories:
        number, category = sorted(train.categories.items() ^ test.categories.items())[0]
        raise ValueError(f"the two parts of {name} have other classes: {number} ({category!r}) is not in both")
    return Coco(name, train, test, list(train.categories.values()))


def _part(folder: Path, part: str, masks: bool) -> CocoImages:
    found = sorted((folder / "annotations").glob(f"instances_{part}*.json"))
    if not found:
        raise FileNotFoundError(f"there is no annotations/instances_{part}*.json in {folder}")
    rest = found[0].stem.removeprefix("instances_")
    places = folder / rest, folder / "images" / rest, folder / "images"
    images = next((place for place in places if place.is_dir()), None)
    if images is None:
        raise FileNotFoundError(f"the images of {found[0]} lie neither in {' nor in '.join(map(str, places))}")
    return CocoImages(images, found[0], part == "train", masks)


def to_boxes(corners: Tensor) -> Tensor:
    """Return COCO's boxes ``(left, top, width, height)`` of corners ``(left, top, right, bottom)``, ``[N, 4]``."""
    return torch.cat([corners[:, :2], corners[:, 2:] - corners[:, :2]], dim=1)
