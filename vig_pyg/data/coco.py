"""Images with boxes and masks in COCO's layout, checked before anything is trained on them."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.ops import box_convert, clip_boxes_to_image
from torchvision.transforms import v2
from torchvision.tv_tensors import BoundingBoxes, Image, Mask

from vig_pyg.data.annotations import read_annotations
from vig_pyg.data.decoded import Decoded
from vig_pyg.data.folders import check_apart, identity, is_folder
from vig_pyg.data.images import size_of
from vig_pyg.data.masks import read_image
from vig_pyg.data.scenes import SCENES, write_scenes


class Coco(NamedTuple):
    """A data set for detection: images with objects to train on and held out, and the names of the classes."""

    name: str
    train: CocoImages
    test: CocoImages
    classes: list[str]


class CocoImages(Dataset):
    """Images and their objects: a tensor ``[3, H, W]`` of bytes, and a dictionary about its ``N`` objects.

    The dictionary holds ``boxes [N, 4]`` (left, top, right, bottom), ``labels [N]`` (the place of the category among
    all, by number), ``masks [N, H, W]``, ``area`` and ``iscrowd [N]``, and ``image_id``; ``categories`` holds the
    names by their numbers. Sizes, boxes and masks are those of the upright image, as EXIF turns it. Boxes end where
    the image does. For training, crowds, objects without area and images
    without an object are left out; for evaluation all stay, as COCO's tools want it.

    Args:
        images: The folder of the images.
        annotations: COCO's JSON of instances.
        training: Leave out what nothing can be learned from.
        masks: Read masks.

    Raises:
        FileNotFoundError: an image has no file.
        ValueError: the annotations are none, one is impossible, or an image has another size; names it by its number.
    """

    def __init__(self, images: Path, annotations: Path, training: bool, masks: bool = True) -> None:
        self.root, self.coco = images, read_annotations(annotations, masks)
        self.ids = sorted(self.coco.imgs)
        self.categories = {number: str(self.coco.cats[number]["name"]) for number in sorted(self.coco.cats)}
        self.masks = masks
        self.objects: dict[int, list[Any]] = {}
        for number in self.ids:
            self._check_file(number)
            entries = self.coco.imgToAnns[number]
            self.objects[number] = [entry for entry in entries if not training or self._teaches(entry)]
        if training:
            self.ids = [number for number in self.ids if self.objects[number]]
        if not self.ids:
            raise ValueError(f"{annotations} names no image{' with an object' if training else ''}")

    def path(self, number: int) -> Path:
        """Return the file of an image, by its number in the annotations."""
        return Path(self.root) / self.coco.imgs[number]["file_name"]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[Image, dict[str, Any]]:
        number = self.ids[index]
        image, info = read_image(self.path(number)), self.coco.imgs[number]
        size = info["height"], info["width"]
        if image.shape[1:] != size:  # EXIF may come after the pixels, where only decoding finds it
            raise ValueError(f"{self.path(number)} has {list(image.shape[1:])} rows and columns, not {list(size)}")
        objects, labels = self.objects[number], {category: label for label, category in enumerate(self.categories)}
        boxes = torch.tensor([entry["bbox"] for entry in objects], dtype=torch.float32).reshape(-1, 4)
        corners = clip_boxes_to_image(box_convert(boxes, "xywh", "xyxy"), size)
        target: dict[str, Any] = {
            "image_id": number,
            "boxes": BoundingBoxes(corners, format="XYXY", canvas_size=size),
            "labels": torch.tensor([labels[entry["category_id"]] for entry in objects], dtype=torch.int64),
            "area": torch.tensor(
                [entry.get("area", math.prod(entry["bbox"][2:])) for entry in objects], dtype=torch.float32
            ),
            "iscrowd": torch.tensor([entry.get("iscrowd", 0) for entry in objects], dtype=torch.int64),
        }
        if self.masks:
            drawn = [torch.from_numpy(self.coco.annToMask(entry)) for entry in objects]
            target["masks"] = Mask(torch.stack(drawn) if drawn else torch.zeros(0, *size, dtype=torch.uint8))
        return image, target

    def _check_file(self, number: int) -> None:
        path, info = self.path(number), self.coco.imgs[number]
        name = PurePosixPath(info["file_name"])
        if name.is_absolute() or ".." in name.parts or not os.path.exists(path):
            raise FileNotFoundError(f"image {number} has no file {path}")
        size, annotated = size_of(path), (info["width"], info["height"])
        if size not in (None, annotated):
            shown = [f"{width}×{height}" for width, height in (size, annotated)]
            turned = " (upright, as EXIF turns it)" if size == annotated[::-1] else ""
            raise ValueError(f"image {number}, {path}, has {shown[0]} pixels{turned}, not {shown[1]} as annotated")

    def _teaches(self, entry: dict[str, Any]) -> bool:
        """Return whether an annotation is of one object with an area in its image."""
        (left, top, width, height), info = entry["bbox"], self.coco.imgs[entry["image_id"]]
        inside = min(left + width, info["width"]) > max(left, 0) and min(top + height, info["height"]) > max(top, 0)
        return inside and not entry.get("iscrowd", 0)


class DetectionBatch(NamedTuple):
    """Images ``[3, H, W]`` from 0 to 1, of any sizes, what is in each, and the names of images that did not decode."""

    images: list[Tensor]
    targets: list[dict[str, Any]]
    broken: list[str]


class Objects(Decoded):
    """Images with objects, augmented together.

    Args:
        source: Gives an image and its objects by number.
        flip: Probability of a horizontal flip.
    """

    source: CocoImages

    def __init__(self, source: CocoImages, flip: float = 0.0) -> None:
        super().__init__(source)
        self.transform = v2.Compose(
            [v2.RandomHorizontalFlip(flip), v2.ToDtype(torch.float32, scale=True), v2.ToPureTensor()]
        )

    def prepare(self, sample: Any) -> tuple[Tensor, dict[str, Any]]:
        """Return the image from 0 to 1, and its objects."""
        return self.transform(*sample)

    def batch(self, samples: list[tuple[Tensor, dict[str, Any]]], broken: list[str]) -> DetectionBatch:
        """Return images and their objects."""
        return DetectionBatch([image for image, _ in samples], [target for _, target in samples], broken)

    def name(self, index: int) -> str:
        """Return the file of an image."""
        return str(self.source.path(self.source.ids[index]))


def load_coco(name: str, root: str = "data", masks: bool = True) -> Coco:
    """Return a data set for detection.

    Args:
        name: ``digits-scenes``, or a folder with ``annotations/instances_train*.json`` and ``…_val*.json`` whose
            images are in a folder named as the rest of the name (COCO's ``train2017``), in ``images/`` or in a folder
            of that name in ``images/``.
        root: Where ``digits-scenes`` is written.
        masks: Read masks.

    Raises:
        FileNotFoundError: there is no such folder, or it lacks annotations or images.
        ValueError: the annotations are wrong, see :class:`CocoImages`, or the two parts have other
            classes or share a file.
    """
    folder = write_scenes(Path(root) / name) if name == SCENES else Path(name)
    if not is_folder(folder):
        raise FileNotFoundError(f"there is no folder {name!r}; data may be digits-scenes or a folder in COCO's layout")
    train, test = (_part(folder, part, masks) for part in ("train", "val"))
    if train.categories != test.categories:
        number, category = sorted(train.categories.items() ^ test.categories.items())[0]
        raise ValueError(f"the two parts of {name} have other classes: {number} ({category!r}) is not in both")
    parts = [{identity(part.path(number)): str(part.path(number)) for number in part.ids} for part in (train, test)]
    check_apart(*parts)
    return Coco(name, train, test, list(train.categories.values()))


def _part(folder: Path, part: str, masks: bool) -> CocoImages:
    found = sorted((folder / "annotations").glob(f"instances_{part}*.json"))
    if not found:
        raise FileNotFoundError(f"there is no annotations/instances_{part}*.json in {folder}")
    rest = found[0].stem.removeprefix("instances_")
    places = folder / rest, folder / "images" / rest, folder / "images"
    images = next((place for place in places if place.is_dir()), None)
    if images is None:
        raise FileNotFoundError(f"the images of {found[0]} are neither in {' nor in '.join(map(str, places))}")
    return CocoImages(images, found[0], part == "train", masks)


def to_boxes(corners: Tensor) -> Tensor:
    """Return COCO's boxes ``(left, top, width, height)`` of corners ``(left, top, right, bottom)``, ``[N, 4]``."""
    return box_convert(corners, "xyxy", "xywh")
