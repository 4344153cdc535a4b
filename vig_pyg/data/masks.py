"""Images with a class number for every pixel: folders, Pascal VOC's layout, and the built-in scenes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.models.segmentation import FCN_ResNet50_Weights
from torchvision.transforms import v2

from vig_pyg.data.decoded import Decoded
from vig_pyg.data.digits import every_fifth
from vig_pyg.data.folders import check_apart, identity, image_files, is_folder
from vig_pyg.data.images import open_image, size_of
from vig_pyg.data.images import read_image as read_file
from vig_pyg.data.scenes import SCENES, write_scenes
from vig_pyg.data.transforms import bounded

IGNORE_INDEX = 255  # the class number of pixels that count for nothing
BACKGROUND = "background"
CLASS_NAMES = "classes.txt"
# torchvision knows Pascal VOC's classes by the models that were trained on them.
VOC_CLASSES = [BACKGROUND, *FCN_ResNet50_Weights.DEFAULT.meta["categories"][1:]]


class Pair(NamedTuple):
    """The files of an image and of its class numbers."""

    image: Path
    mask: Path


class SegmentationData(NamedTuple):
    """A data set for semantic segmentation: pairs to train on and held out, and the names of the classes."""

    name: str
    train: Sequence[Pair]
    test: Sequence[Pair]
    classes: list[str]


class SegmentationBatch(NamedTuple):
    """Images ``[3, H, W]`` between 0 and 1, class numbers ``[H, W]``, and the names of images that did not decode.

    In training all have one size and are stacked; a held-out image may have another size than its mask.
    """

    images: Tensor | list[Tensor]
    masks: Tensor | list[Tensor]
    broken: list[str]


class Masks(Decoded):
    """Images with class numbers, transformed together.

    Args:
        source: Files.
        transform: From an image and a mask of torchvision's ``tv_tensors`` to both.
        stack: Whether all have one size then.
    """

    def __init__(self, source: Sequence[Pair], transform: v2.Transform, stack: bool) -> None:
        super().__init__(source)
        self.transform, self.stack = transform, stack

    def prepare(self, sample: Pair) -> tuple[Tensor, Tensor]:
        """Return an image ``[3, H, W]`` and its class numbers ``[H, W]``."""
        numbers = tv_tensors.Mask(torch.from_numpy(_class_numbers(sample.mask)))
        image, mask = self.transform(read_image(sample.image), numbers)
        return image.as_subclass(Tensor), mask.as_subclass(Tensor).long()

    def batch(self, samples: list[tuple[Tensor, Tensor]], broken: list[str]) -> SegmentationBatch:
        """Return images and their class numbers."""
        images, masks = [image for image, _ in samples], [mask for _, mask in samples]
        if self.stack:
            return SegmentationBatch(torch.stack(images), torch.stack(masks), broken)
        return SegmentationBatch(images, masks, broken)

    def name(self, index: int) -> str:
        """Return the file of an image."""
        return str(self.source[index].image)


def read_image(path: Path) -> tv_tensors.Image:
    """Return an image ``[3, H, W]`` as bytes."""
    return tv_tensors.Image(read_file(path))


def crop_transform(size: int, crop_scale: float, flip: float) -> v2.Transform:
    """Return random resizing, cropping and flipping of images and masks together.

    Args:
        size: Side of the crops in pixels. What a crop has beyond its image is black and counts for nothing.
        crop_scale: The smallest part of a square image that a crop shows: the shorter side becomes between ``√s`` and
            ``1 / √s`` times ``size``.
        flip: Probability of a horizontal flip.
    """
    side = crop_scale**0.5
    return v2.Compose(
        [
            v2.Lambda(partial(bounded, shorter=size / side)),
            v2.RandomResize(round(size * side), round(size / side) + 1, antialias=True),
            v2.RandomCrop(size, pad_if_needed=True, fill={tv_tensors.Image: 0, tv_tensors.Mask: IGNORE_INDEX}),
            v2.RandomHorizontalFlip(flip),
            v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
        ]
    )


class ResizeImage(v2.Transform):
    """Resizes the shorter side of an image and leaves its mask: the truth stays what was drawn.

    Args:
        size: Pixels; None leaves the image too.

    Raises:
        ValueError: an image would be resized to more pixels than the limit.
    """

    def __init__(self, size: int | None) -> None:
        super().__init__()
        self.size = size

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Return an image resized and between 0 and 1; a mask as it is."""
        if isinstance(inpt, tv_tensors.Mask):
            return inpt
        if self.size is not None:
            inpt = v2.functional.resize(bounded(inpt, self.size), [self.size], antialias=True)
        return v2.functional.to_dtype(inpt, torch.float32, scale=True)


def load_segmentation_data(name: str, root: str = "data", classes: int | None = None) -> SegmentationData:
    """Return a data set, with every mask checked.

    Args:
        name: ``digits-scenes``; a folder with ``images`` and ``masks``, in both of which ``train`` and ``val``, or
            files of which a fifth is then held out; or a folder in Pascal VOC's layout (``JPEGImages``,
            ``SegmentationClass``, ``ImageSets/Segmentation``). The mask of ``NAME.jpg`` is ``NAME.png``, of 8 bits,
            with class numbers, 255 for what counts for nothing, and fits the image as EXIF turns it. ``classes.txt``
            in the folder names the classes, one per line.
        root: Where ``digits-scenes`` is written to.
        classes: How many classes there are, where nothing names them; by default as many as the masks show.

    Raises:
        FileNotFoundError: there is no such folder, no image in it, or an image has no mask.
        ValueError: a mask has another size than its image, a class number outside, colors, or does not decode.
    """
    if name == SCENES:
        pairs = _folder_pairs(write_scenes(Path(root) / SCENES), "segmentation")
        return SegmentationData(name, *pairs, [BACKGROUND, *map(str, range(10))])
    folder = Path(name)
    if not is_folder(folder):
        raise FileNotFoundError(f"there is no folder {name!r}; data may be digits-scenes or a folder with masks")
    if (folder / "SegmentationClass").is_dir():
        parts, names = _voc_pairs(folder), VOC_CLASSES
    elif (folder / "images").is_dir() and (folder / "masks").is_dir():
        parts, names = _folder_pairs(folder), None
    else:
        raise FileNotFoundError(
            f"{folder} holds neither images and masks nor Pascal VOC's JPEGImages and SegmentationClass"
        )
    if (folder / CLASS_NAMES).is_file():
        names = [line.strip() for line in _text(folder / CLASS_NAMES).split("\n") if line.strip()]
    known = len(names) if names else classes
    highest = check_masks([*parts[0], *parts[1]], known)
    check_apart(*({identity(pair.image): str(pair.image) for pair in part} for part in parts))
    return SegmentationData(name, *parts, names or [str(number) for number in range(known or highest + 1)])


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} holds no text in UTF-8: {error}") from None


def _voc_pairs(folder: Path) -> tuple[list[Pair], list[Pair]]:
    parts = []
    for part in ("train", "val"):
        file = folder / "ImageSets" / "Segmentation" / f"{part}.txt"
        if not file.is_file():
            raise FileNotFoundError(f"there is no {file}, which should name the images of {part}")
        names = _text(file).split()
        parts.append([Pair(folder / f"JPEGImages/{n}.jpg", folder / f"SegmentationClass/{n}.png") for n in names])
    return parts[0], parts[1]


def _folder_pairs(folder: Path, masks: str = "masks") -> tuple[list[Pair], list[Pair]]:
    def pairs(part: str) -> list[Pair]:
        place = folder / "images" / part
        files = list(image_files(place)) if is_folder(place) else []
        if not files:
            raise FileNotFoundError(f"there is no image in {place}")
        return [Pair(file, folder / masks / file.relative_to(folder / "images").with_suffix(".png")) for file in files]

    if (folder / "images" / "train").is_dir():
        return pairs("train"), pairs("val")
    found = pairs("")
    if len(found) < 2:
        raise ValueError(f"{folder / 'images'} holds one image only, {found[0].image}: one must be held out")
    held_out = every_fifth([0] * len(found))
    return [pair for i, pair in enumerate(found) if i not in held_out], [found[i] for i in held_out]


def check_masks(pairs: Sequence[Pair], classes: int | None = None) -> int:
    """Look at every mask; return the highest class number.

    Raises:
        FileNotFoundError: an image or its mask is missing.
        ValueError: a mask does not decode, has colors, another size than its image, or a number from ``classes`` on.
    """
    highest = 0
    for image, mask in pairs:
        for file in (image, mask):
            if not file.is_file():
                raise FileNotFoundError(f"there is no {file}, which belongs to {mask if file is image else image}")
        numbers = _class_numbers(mask)
        if (size := size_of(image)) not in (None, numbers.shape[::-1]):
            shown = " and ".join(f"{width}×{height}" for width, height in (numbers.shape[::-1], size))
            raise ValueError(f"{mask} and its image have different sizes, {shown} pixels")
        top = int(numbers.max(initial=0, where=numbers != IGNORE_INDEX))
        if classes is not None and top >= classes:
            raise ValueError(
                f"{mask} has class number {top}, but the {classes} classes are 0 to {classes - 1} "
                f"({IGNORE_INDEX} counts for nothing)"
            )
        highest = max(highest, top)
    return highest


def _class_numbers(path: Path) -> np.ndarray:
    """Return class numbers ``[H, W]``, upright as their image."""
    try:
        mask = open_image(path)
    except ValueError as error:
        raise ValueError(f"the mask {path} does not decode: {error}") from error
    if mask.mode not in ("L", "P"):
        raise ValueError(f"{path} has colors or more than 8 bits ({mask.mode}), not one class number per pixel")
    return np.array(mask)
