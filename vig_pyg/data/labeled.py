"""ClassificationData sets: the built-in digits, folders of images, and whatever timm's names reach."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vig_pyg.checks import check_kind
from vig_pyg.data.decoded import IGNORE_INDEX, Files, LabeledBatch
from vig_pyg.data.digits import every_fifth, load_digits, shift
from vig_pyg.data.folders import ClassFolders, check_apart, images_by_class, is_folder
from vig_pyg.data.named import named_data
from vig_pyg.data.samplers import Draw

TEST_FOLDERS = ("val", "validation", "test")


class ClassificationData(NamedTuple):
    """A data set for classification: images with labels to train on and held out, and the names of the classes."""

    name: str
    train: Any
    test: Any
    classes: list[str]
    channels: int = 3


class ImageTensorDataset(Dataset):
    """Images in memory as tensors, moved by some pixels for training.

    Args:
        images: ``[N, C, H, W]``, normalized.
        labels: ``[N]``.
        pixels: Each image is moved by up to so many, where its draw has a seed.

    Raises:
        ValueError: images would be moved out of sight.
    """

    def __init__(self, images: Tensor, labels: Tensor, pixels: int = 0) -> None:
        if pixels >= (side := min(images.shape[2:])):
            raise ValueError(f"shift={pixels} moves images of {side} pixels out of sight: take less than {side}")
        self.images, self.labels, self.pixels = images, labels, pixels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, draws: Sequence[Draw]) -> LabeledBatch:
        """Return what was drawn, as one batch."""
        index = torch.tensor([draw.number for draw in draws])
        images, labels = self.images[index], self.labels[index].masked_fill(index < 0, IGNORE_INDEX)
        seed = draws[0].seed
        if self.pixels and seed is not None:
            images = shift(images, self.pixels, torch.Generator().manual_seed(seed))
        return LabeledBatch(images, labels, [])


def load_data(name: str, image_size: int = 32, root: str = "data", classes: int | None = None) -> ClassificationData:
    """Return a data set.

    Args:
        name: ``digits``; a folder with ``train`` and ``val`` folders of one folder per class (to evaluate, ``val`` is
            enough), or with one folder per class, of which a fifth is then held out; or a name for timm's
            ``create_dataset``: ``torch/cifar10``, ``hfds/…``, or ``wds/FOLDER`` with shards and the ``_info.json`` that
            says their splits.
        image_size: Side of the built-in images.
        root: The folder that timm's data sets are in, or are downloaded to.
        classes: How many classes there are, where the data does not say it, as shards do not.

    Raises:
        FileNotFoundError: there is no such folder or shard, or there are no images in it.
        ValueError: there is one class only or a class has one image only, a file is both to train on and held out or
            in two classes, it is not known how many classes there are, or timm cannot load it.
    """
    check_kind("text", str, name=name)
    if name == "digits":
        split = load_digits(image_size)
        train, test = ImageTensorDataset(*split[:2]), ImageTensorDataset(*split[2:])
        return ClassificationData(name, train, test, list("0123456789"), channels=1)
    if "/" in name and not is_folder(name) and name.split("/")[0] in ("torch", "hfds", "hfids", "tfds", "wds"):
        return ClassificationData(name, *named_data(name, root, classes))
    data = _from_folder(Path(name))
    if len(data.classes) < 2:
        raise ValueError(f"{name} has one class only ({data.classes[0]}): classification needs at least two folders")
    return data


def _from_folder(path: Path) -> ClassificationData:
    if not is_folder(path):
        raise FileNotFoundError(
            f"there is no folder {str(path)!r}; data may be digits, an image folder, torch/cifar10, …"
        )
    apart = is_folder(path / "train")
    test_path = next((path / name for name in TEST_FOLDERS if is_folder(path / name)), None)
    try:
        train = (
            ClassFolders([], [], {}) if test_path and not apart else images_by_class(path / "train" if apart else path)
        )
        test = None if test_path is None else images_by_class(test_path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} holds no images in folders, one per class ({error})") from None
    if test is None:
        return ClassificationData(str(path), *_without_a_fifth(train), train.classes)
    if not apart:  # nothing to train on, but to evaluate on
        return ClassificationData(str(path), Files([]), Files(test.samples), test.classes)
    if test.classes != train.classes:
        differing = sorted(set(test.classes) ^ set(train.classes))[0]
        raise ValueError(f"{test_path} and {path / 'train'} have other classes, {differing!r} first")
    check_apart(train.files, test.files)
    return ClassificationData(str(path), Files(train.samples), Files(test.samples), train.classes)


def _without_a_fifth(found: ClassFolders) -> tuple[Files, Files]:
    labels = [label for _, label in found.samples]
    counts = np.bincount(labels)
    if len(counts) > 1 and counts.min() < 2:
        path, label = found.samples[labels.index(int(counts.argmin()))]
        raise ValueError(
            f"the class {found.classes[label]} has one image only, {path}: it needs two, one of them to be held out"
        )
    held_out = every_fifth(labels)
    train = np.delete(np.arange(len(labels)), held_out)
    return Files([found.samples[i] for i in train]), Files([found.samples[i] for i in held_out])
