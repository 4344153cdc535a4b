"""Data sets: the built-in digits, folders of images, and whatever timm's names reach."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from timm.data import create_dataset, create_transform
from timm.data.model_config import resolve_input_data_config
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset
from torchvision.datasets import ImageFolder

from vig_pyg.train.digits import load_digits, shift
from vig_pyg.train.recipe import Recipe
from vig_pyg.train.sampler import Draw, EpochSampler, OnceSampler

NOTHING = -1  # the label of what counts for nothing: padding, and images that do not decode
TEST_FOLDERS = ("val", "validation", "test")
TRIES = 20  # broken images in a row before one gives up


class Batch(NamedTuple):
    """Images ``[B, C, H, W]``, labels ``[B]``, and the names of images that did not decode."""

    images: Tensor
    labels: Tensor
    broken: list[str]


class Data(NamedTuple):
    """A data set for classification: images with labels to train on and held out, and the names of the classes."""

    name: str
    train: Any
    test: Any
    classes: list[str]
    channels: int = 3


class Memory(Dataset):
    """Images that lie in memory as tensors, moved by some pixels for training.

    Args:
        images: ``[N, C, H, W]``, normalised.
        labels: ``[N]``.
        pixels: Each image is moved by up to so many, where its draw has a seed.
    """

    def __init__(self, images: Tensor, labels: Tensor, pixels: int = 0) -> None:
        self.images, self.labels, self.pixels = images, labels, pixels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, draws: Sequence[Draw]) -> Batch:
        """Return what was drawn, as one batch."""
        index = torch.tensor([draw.number for draw in draws])
        images, labels = self.images[index], self.labels[index].masked_fill(index < 0, NOTHING)
        seed = draws[0].seed
        if self.pixels and seed is not None:
            images = shift(images, self.pixels, torch.Generator().manual_seed(seed))
        return Batch(images, labels, [])


def size_of(path: Path) -> tuple[int, int] | None:
    """Return an image's width and height; None if it does not decode, which training bears."""
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, SyntaxError):
        return None


class Decoded(Dataset):
    """Samples that are decoded and augmented when they are drawn; the draw's seed decides everything random.

    A sample that does not decode is replaced by the next one in training, and counts for nothing in a test.

    Args:
        source: Gives samples by number.
    """

    def __init__(self, source: Any) -> None:
        self.source = source

    @abstractmethod
    def prepare(self, sample: Any) -> Any:
        """Return what a batch is made of, from what the source gives."""

    def __len__(self) -> int:
        return len(self.source)

    def draw(self, index: int, seed: int | None) -> tuple[Any | None, list[str]]:
        """Return a prepared sample, or None, and the names of those that did not decode.

        Raises:
            ValueError: many samples in a row do not decode.
        """
        if seed is not None:
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
        broken: list[str] = []
        while index >= 0:
            try:
                return self.prepare(self.source[index]), broken
            except (OSError, SyntaxError, ValueError) as error:  # what PIL raises for damaged files
                broken.append(self.name(index))
                if len(broken) == TRIES:
                    raise ValueError(
                        f"{TRIES} images in a row do not decode, {broken[-1]} the last: {error}"
                    ) from error
                index = (index + 1) % len(self) if seed is not None else -1
        return None, broken

    def name(self, index: int) -> str:
        """Return the file of an image, or its number."""
        samples = getattr(self.source, "samples", None)
        return str(samples[index][0]) if samples else f"image {index}"


class Images(Decoded):
    """Images with labels, see :class:`Decoded`.

    Args:
        source: Gives ``(PIL image, label)`` by number.
        transform: From a PIL image to a tensor.
        mode: PIL's name for the channels that the model takes.
    """

    def __init__(self, source: Any, transform: Callable[[Any], Tensor], mode: str = "RGB") -> None:
        super().__init__(source)
        self.transform, self.mode = transform, mode

    def prepare(self, sample: tuple[Any, int]) -> tuple[Tensor, int]:
        """Return the image as a tensor, and its label."""
        return self.transform(sample[0].convert(self.mode)), int(sample[1])

    def __getitems__(self, draws: Sequence[Draw]) -> Batch:
        """Return what was drawn, as one batch."""
        images: list[Tensor | None] = []
        labels, broken = [], []
        for index, seed in draws:
            sample, names = self.draw(index, seed)
            image, label = (None, NOTHING) if sample is None else sample
            images.append(image)
            labels.append(label)
            broken += names
        shape = next((image.shape for image in images if image is not None), (3, 1, 1))
        stacked = torch.stack([torch.zeros(shape) if image is None else image for image in images])
        return Batch(stacked, torch.tensor(labels), broken)


class Part(Dataset):
    """Some samples of a folder of images."""

    def __init__(self, folder: ImageFolder, chosen: Sequence[int]) -> None:
        self.folder, self.samples = folder, [folder.samples[i] for i in chosen]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        path, label = self.samples[index]
        return self.folder.loader(path), label


def load_data(name: str, image_size: int = 32, root: str = "data", classes: int | None = None) -> Data:
    """Return a data set.

    Args:
        name: ``digits``; a folder with ``train`` and ``val`` folders of one folder per class, or with one folder per
            class, of which a fifth is then held out; or a name for timm's ``create_dataset``: ``torch/cifar10``,
            ``hfds/…``, or ``wds/FOLDER`` with shards and the ``_info.json`` that says their splits.
        image_size: Side of the built-in images.
        root: Where timm's data sets lie or are downloaded to.
        classes: How many classes there are, where the data does not say it, as shards do not.

    Raises:
        FileNotFoundError: there is no such folder, or there are no images in it.
        ValueError: there is one class only, it is not known how many there are, or timm cannot load it.
    """
    check_kind("text", str, name=name)
    if name == "digits":
        split = load_digits(image_size)
        train, test = Memory(split.train_images, split.train_labels), Memory(split.test_images, split.test_labels)
        return Data(name, train, test, [str(digit) for digit in range(10)], channels=1)
    if "/" in name and not Path(name).exists() and name.split("/")[0] in ("torch", "hfds", "hfids", "tfds", "wds"):
        return _from_timm(name, root, classes)
    data = _from_folder(Path(name))
    if len(data.classes) < 2:
        raise ValueError(f"{name} has one class only ({data.classes[0]}): classification needs at least two folders")
    return data


def load_recipe_data(recipe: Recipe) -> Data:
    """Return the data set that a recipe names."""
    return load_data(recipe.data, recipe.image_size or 32, recipe.data_root, recipe.classes)


def _from_folder(path: Path) -> Data:
    if not path.is_dir():
        raise FileNotFoundError(
            f"there is no folder {str(path)!r}; data may be digits, an image folder, torch/cifar10, …"
        )
    try:
        if (path / "train").is_dir():
            train = ImageFolder(str(path / "train"))
            test_path = next((path / name for name in TEST_FOLDERS if (path / name).is_dir()), None)
            if test_path is not None:
                test = ImageFolder(str(test_path))
                if test.classes != train.classes:
                    differing = sorted(set(test.classes) ^ set(train.classes))[0]
                    raise ValueError(f"{test_path} and {path / 'train'} have other classes, {differing!r} first")
                return Data(str(path), train, test, train.classes)
        else:
            train = ImageFolder(str(path))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} holds no images in folders, one per class ({error})") from None
    held_out = every_fifth([label for _, label in train.samples])
    kept = sorted(set(range(len(train.samples))) - set(held_out))
    return Data(str(path), Part(train, kept), Part(train, held_out), train.classes)


def every_fifth(labels: Sequence[int]) -> list[int]:
    """Return which images to hold out: a fifth of every class, always the same."""
    random_state, chosen = np.random.RandomState(0), []
    for label in sorted(set(labels)):
        members = random_state.permutation(np.flatnonzero(np.array(labels) == label))
        chosen += members[: max(1, round(len(members) / 5))].tolist()
    return sorted(chosen)


def _from_timm(name: str, root: str, classes: int | None) -> Data:
    if name.startswith("wds/"):
        root = name.removeprefix("wds/")
        if not Path(root, "_info.json").is_file():
            raise FileNotFoundError(f"there is no {root}/_info.json, which says what shards a data set has")
    try:
        train = create_dataset(name, root=root, split="train", is_training=True, download=True)
        test = create_dataset(name, root=root, split="validation", download=True)
    except Exception as error:  # every reader raises its own
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"timm cannot load {name!r} from {root!r}: {reason}") from error
    names = getattr(train, "classes", None) or list(getattr(getattr(train, "reader", None), "class_to_idx", {}))
    if not names and classes is None:
        raise ValueError(f"{name} does not say how many classes it has: add classes=NUMBER")
    return Data(name, train, test, [str(c) for c in names or range(classes or 0)])


def loaders(
    data: Data, model: nn.Module, recipe: Recipe, device_batch: int, rank: int = 0, processes: int = 1
) -> tuple[DataLoader, DataLoader]:
    """Return what loads a process's batches for training and for testing.

    Crop, interpolation and normalisation are those of the model's weights.

    Raises:
        ValueError: there are fewer images than the batch takes.
    """
    train, test = data.train, data.test
    if isinstance(train, Memory):
        train = Memory(train.images, train.labels, recipe.shift)
    else:
        train = _prepared(train, _training_transform(model, recipe), image_mode(model))
        test = _prepared(test, inference_transform(model, recipe.image_size), image_mode(model))
    if isinstance(train, IterableDataset):
        _check_batch(recipe, len(train), data.name)  # type: ignore[arg-type]
        train.set_loader_cfg(recipe.workers)  # type: ignore[attr-defined]  # timm's, as all below
        options = _options(recipe)
        return DataLoader(train, device_batch, drop_last=True, collate_fn=_collate, **options), _whole_shards(
            test, device_batch, rank
        )
    return sampled_loaders(train, test, data.name, recipe, device_batch, rank, processes)


def sampled_loaders(
    train: Any, test: Any, name: str, recipe: Recipe, device_batch: int, rank: int = 0, processes: int = 1
) -> tuple[DataLoader, DataLoader]:
    """Return what loads batches for training, as :class:`EpochSampler` draws, and every image once for testing.

    Args:
        train: Gives a batch for draws, by ``__getitems__``.
        test: The same.
        name: Of the data.
        recipe: Its batch, seed, repeats and workers.
        device_batch: Images of a batch.
        rank: This process.
        processes: How many there are.

    Raises:
        ValueError: there are fewer images than the batch takes.
    """
    _check_batch(recipe, len(train), name)
    options = _options(recipe) | {"collate_fn": as_it_is}
    repeats = recipe.repeated_augmentation
    drawn = EpochSampler(len(train), recipe.batch, device_batch, recipe.seed, repeats, rank, processes)
    once = OnceSampler(len(test), rank, processes)
    return DataLoader(train, device_batch, sampler=drawn, **options), DataLoader(
        test, device_batch, sampler=once, **options
    )


def _check_batch(recipe: Recipe, images: int, name: str) -> None:
    if images < recipe.batch:
        raise ValueError(f"batch={recipe.batch} is more than the {images} training images of {name}: lower it")


def _options(recipe: Recipe) -> dict[str, Any]:
    return {
        "num_workers": recipe.workers,
        "persistent_workers": recipe.workers > 0,
        "pin_memory": torch.cuda.is_available(),
    }


def held_out_batches(
    data: Data, model: nn.Module, batch: int, workers: int = 0, image_size: int | None = None
) -> DataLoader:
    """Return what loads every held-out image once, prepared as the model's weights want it."""
    test = data.test
    if not isinstance(test, Memory):
        test = _prepared(test, inference_transform(model, image_size), image_mode(model))
    if isinstance(test, IterableDataset):
        return _whole_shards(test, batch)
    options: dict[str, Any] = {"sampler": OnceSampler(len(test)), "collate_fn": as_it_is}
    return DataLoader(test, batch, num_workers=workers, **options)


def _whole_shards(test: Any, batch: int, rank: int = 0) -> DataLoader:
    """Return what loads all shards in the first process and nothing in the others: so every image counts once."""
    test.reader.dist_rank, test.reader.dist_num_replicas = 0, 1
    return DataLoader(test if rank == 0 else [], batch, collate_fn=_collate)


def inference_transform(model: nn.Module, image_size: int | None = None) -> Callable[[Any], Tensor]:
    """Return how an image is prepared for a model outside of training."""
    return create_transform(**data_config(model, image_size))


def image_mode(model: nn.Module) -> str:
    """Return PIL's name for the channels that a model takes."""
    return "L" if getattr(model, "in_chans", 3) == 1 else "RGB"


def data_config(model: nn.Module, image_size: int | None = None) -> dict[str, Any]:
    """Return timm's settings for the images of a model: size, crop, interpolation, mean and deviation."""
    args: dict[str, Any] = {} if image_size is None else {"img_size": image_size}
    known = getattr(model, "pretrained_cfg", None) or {}
    for key in ("mean", "std"):
        values = known.get(key, ())
        if len(values) > 1 and len(values) != getattr(model, "in_chans", 3):
            args[key] = (sum(values) / len(values),)  # what timm does with a warning
    return resolve_input_data_config(model, args)


def _training_transform(model: nn.Module, recipe: Recipe) -> Callable[[Any], Tensor]:
    return create_transform(
        **{**data_config(model, recipe.image_size), "is_training": True},
        scale=(recipe.crop_scale, 1.0),
        hflip=recipe.flip,
        auto_augment=recipe.rand_augment,
        color_jitter=recipe.color_jitter,
        re_prob=recipe.random_erasing,
    )


def _prepared(part: Any, transform: Callable[[Any], Tensor], mode: str) -> Any:
    if isinstance(part, IterableDataset):
        part.transform = lambda image: transform(image.convert(mode))  # type: ignore[attr-defined]
        return part
    return Images(part, transform, mode)


def _collate(samples: Sequence[tuple[Tensor, int]]) -> Batch:
    images, labels = zip(*samples, strict=True)
    return Batch(torch.stack(images), torch.tensor(labels), [])


def as_it_is(batch: Any) -> Any:
    """Return a batch that its data set has put together."""
    return batch
