"""The built-in data for boxes, masks and segmentation maps: real handwritten digits pasted onto real photographs."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as rle
from sklearn.datasets import load_sample_images
from torch import Tensor

from vig_pyg.data.digits import load_digits

SCENES = "digits-scenes"
SIDES = (128, 144, 160)  # of a scene, in pixels; height and width are drawn apart
DIGITS = (2, 5)  # pasted onto a scene
DIGIT_SIDES = (24, 64)  # of the square that holds a digit, in pixels
OVERLAP = 0.25  # of the smaller of two squares, at most
CONTRAST = 0.35  # least difference in brightness between a digit and what it covers
TRAIN_COLUMNS = 0.64  # of a photograph; held-out scenes show the others


class Scene(NamedTuple):
    """An image ``[H, W, 3]`` of bytes, the masks ``[N, H, W]`` of its digits, and which digits they are."""

    image: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    digits: list[int]

    @property
    def segmentation(self) -> NDArray[np.uint8]:
        """Class of every pixel ``[H, W]``: 0 for the background, ``digit + 1`` for a digit."""
        classes = np.zeros(self.image.shape[:2], dtype=np.uint8)
        for mask, digit in zip(self.masks, self.digits, strict=True):
            classes[mask] = digit + 1
        return classes


def write_scenes(folder: str | Path = "data/digits-scenes", train: int = 1000, val: int = 200, seed: int = 0) -> Path:
    """Write the data set ``digits-scenes`` once, in COCO's layout; return its folder.

    Two to five of scikit-learn's handwritten digits, 24 to 64 pixels high, are placed at random and in random colors
    on crops of its two photographs; they may cover a quarter of each other. Held-out scenes show held-out digits
    (:func:`~vig_pyg.train.load_digits`) on the part of the photographs that no other scene shows. The folder holds
    ``images/train`` and ``images/val``, ``annotations/instances_train.json`` and ``…_val.json`` with boxes and masks
    (run-length encoded; category ``digit + 1``), and ``segmentation/train`` and ``segmentation/val``: a PNG per image
    with the class of every pixel, 0 for the background. It appears whole or not at all.

    Args:
        folder: Where to write, or where it was written before.
        train: Scenes to train on.
        val: Scenes held out.
        seed: Decides everything that is random.

    Raises:
        FileExistsError: the folder holds something else, or scenes of other numbers or another seed.
    """
    folder, wanted = Path(folder), {"scenes": {"train": train, "val": val}, "seed": seed}
    if folder.exists():
        _check_written(folder, wanted)
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True) as name:
        try:
            for part, (split, count) in enumerate((("train", train), ("val", val))):
                _write_part(Path(name), split, count, np.random.default_rng([seed, part]), wanted)
            os.chmod(name, 0o755)  # a temporary folder is closed to others
            os.replace(name, folder)
        except OSError:
            if not folder.exists():  # else another process was faster
                raise
            _check_written(folder, wanted)
    return folder


def _check_written(folder: Path, wanted: dict[str, Any]) -> None:
    try:
        info = json.loads((folder / "annotations" / "instances_train.json").read_text())["info"]
        found = {key: info[key] for key in wanted}
    except (OSError, ValueError, KeyError):
        raise FileExistsError(f"{folder} holds no digits-scenes: choose another folder, or remove it") from None
    if found != wanted:
        raise FileExistsError(f"{folder} holds digits-scenes of {found}, not of {wanted}: choose another folder")


def _write_part(folder: Path, name: str, count: int, random: np.random.Generator, info: dict[str, Any]) -> None:
    images, maps = folder / "images" / name, folder / "segmentation" / name
    for place in (images, maps, folder / "annotations"):
        place.mkdir(parents=True, exist_ok=True)
    digits, labels = _digits(name == "train")
    photographs = _photographs(name == "train")
    content: dict[str, Any] = {
        "info": {"description": SCENES, **info},
        "categories": [{"id": digit + 1, "name": str(digit), "supercategory": "digit"} for digit in range(10)],
        "images": [],
        "annotations": [],
    }
    for number in range(1, count + 1):
        background = _crop(photographs[random.integers(len(photographs))], random)
        scene = draw_scene(background, digits, labels, random)
        height, width = scene.image.shape[:2]
        file = f"{number:06d}"
        Image.fromarray(scene.image).save(images / f"{file}.jpg", quality=95)
        Image.fromarray(scene.segmentation).save(maps / f"{file}.png")
        content["images"].append({"id": number, "file_name": f"{file}.jpg", "height": height, "width": width})
        for mask, digit in zip(scene.masks, scene.digits, strict=True):
            identity = len(content["annotations"]) + 1
            content["annotations"].append({"id": identity, "image_id": number, **annotation(mask, digit + 1)})
    (folder / "annotations" / f"instances_{name}.json").write_text(json.dumps(content))


def annotation(mask: NDArray[np.bool_], category: int) -> dict[str, Any]:
    """Return COCO's annotation of a mask ``[H, W]``: box ``(x, y, width, height)``, area and run-length encoding."""
    encoded = rle.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {
        "category_id": category,
        "bbox": rle.toBbox(encoded).tolist(),
        "area": int(rle.area(encoded)),
        "iscrowd": 0,
        "segmentation": {"size": encoded["size"], "counts": encoded["counts"].decode()},
    }


def draw_scene(background: NDArray[np.uint8], digits: Tensor, labels: Tensor, random: np.random.Generator) -> Scene:
    """Return a scene of some of the digits on a background.

    Args:
        background: ``[H, W, 3]``.
        digits: How much ink covers every pixel, from 0 to 1, ``[N, 1, S, S]``.
        labels: Which digits they are, ``[N]``.
        random: Draws which digits, their sizes, places and colors.
    """
    image, (height, width) = background / 255.0, background.shape[:2]
    squares: list[tuple[int, int, int]] = []
    masks: list[NDArray[np.bool_]] = []
    drawn: list[int] = []
    for index in random.integers(len(digits), size=random.integers(DIGITS[0], DIGITS[1] + 1)):
        square = _free_square(height, width, squares, random)
        if square is None:
            continue
        squares.append(square)
        top, left, side = square
        ink = F.interpolate(digits[index, None], size=side, mode="bicubic", antialias=True).clamp(0, 1)[0, 0].numpy()
        region = np.s_[top : top + side, left : left + side]
        color = _color(image[region].mean(), random)
        image[region] += ink[..., None] * (color - image[region])
        mask = np.zeros((height, width), dtype=bool)
        mask[region] = ink > 0.5
        masks = [*(earlier & ~mask for earlier in masks), mask]
        drawn.append(int(labels[index]))
    return Scene((image * 255).round().astype(np.uint8), np.stack(masks), drawn)


def _free_square(
    height: int, width: int, others: list[tuple[int, int, int]], random: np.random.Generator
) -> tuple[int, int, int] | None:
    """Return top, left and side of a square that hardly covers the others, or None where none was found."""
    for _ in range(50):
        side = int(random.integers(DIGIT_SIDES[0], DIGIT_SIDES[1] + 1))
        top, left = (int(random.integers(extent - side + 1)) for extent in (height, width))
        if all(_overlap((top, left, side), other) <= OVERLAP for other in others):
            return top, left, side
    return None


def _overlap(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """Return which share of the smaller of two squares the other covers."""
    rows, columns = (max(0, min(one[a] + one[2], other[a] + other[2]) - max(one[a], other[a])) for a in (0, 1))
    return rows * columns / min(one[2], other[2]) ** 2


def _color(brightness: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Return a random color that stands out."""
    while True:
        color = random.random(3)
        if abs(color.mean() - brightness) >= CONTRAST:
            return color


def _digits(train: bool) -> tuple[Tensor, Tensor]:
    """Return how much ink covers every pixel of the digits, from 0 to 1, ``[N, 1, 64, 64]``, and which they are."""
    split = load_digits(DIGIT_SIDES[1])
    images, labels = (split.train_images, split.train_labels) if train else (split.test_images, split.test_labels)
    return (images + 1) / 2, labels


def _photographs(train: bool) -> list[NDArray[np.uint8]]:
    """Return the left parts of the photographs for training, the right ones for held-out scenes."""
    photographs = load_sample_images().images
    borders = [int(TRAIN_COLUMNS * photograph.shape[1]) for photograph in photographs]
    return [p[:, :border] if train else p[:, border:] for p, border in zip(photographs, borders, strict=True)]


def _crop(photograph: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return a random part of a photograph, with sides of ``SIDES``."""
    height, width = (int(side) for side in random.choice(SIDES, size=2))
    top, left = (int(random.integers(photograph.shape[axis] - side + 1)) for axis, side in enumerate((height, width)))
    return photograph[top : top + height, left : left + width]
