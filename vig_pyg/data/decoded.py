"""Samples that are decoded when they are drawn, and what takes the place of those that do not decode."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from vig_pyg.data.images import check_pixels, in_mode, open_image, upright

if TYPE_CHECKING:
    from vig_pyg.data.samplers import Draw

IGNORE_INDEX = -1  # the label of what counts for nothing: padding, and images that do not decode
TRIES = 20  # broken images in a row before one gives up


class Undecodable(ValueError):
    """Too many images in a row do not decode; one sentence also where a process that loads images raises it."""

    def __init__(self, message: str) -> None:
        name = f"{type(self).__module__}.{type(self).__name__}: "
        super().__init__(message.strip().split("\n")[-1].removeprefix(name))  # torch puts the traceback before it


class LabeledBatch(NamedTuple):
    """Images ``[B, C, H, W]``, labels ``[B]``, and the names of images that did not decode."""

    images: Tensor
    labels: Tensor
    broken: list[str]


class Decoded(Dataset):
    """Samples that are decoded and augmented when they are drawn; the draw's seed decides everything random.

    A sample that does not decode is replaced by the next one in training; in a test ``blank`` takes its place, where
    it is not None, and that of number −1.

    Args:
        source: Gives samples by number.
    """

    blank: Any = None

    def __init__(self, source: Any) -> None:
        self.source = source

    @abstractmethod
    def prepare(self, sample: Any) -> Any:
        """Return what a batch is made of, from what the source gives."""

    @abstractmethod
    def batch(self, samples: list[Any], broken: list[str]) -> Any:
        """Return prepared samples, and the names of those that did not decode, as one batch."""

    def __len__(self) -> int:
        return len(self.source)

    def __getitems__(self, draws: Sequence[Draw]) -> Any:
        """Return what was drawn, as one batch."""
        drawn = [self.draw(*draw) for draw in draws]
        samples = [sample for sample, _ in drawn if sample is not None]
        return self.batch(samples, [name for _, names in drawn for name in names])

    def draw(self, index: int, seed: int | None) -> tuple[Any | None, list[str]]:
        """Return a prepared sample, or ``blank``, and the names of those that did not decode.

        Raises:
            Undecodable: many samples in a row do not decode.
        """
        if seed is not None:
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
        broken: list[str] = []
        while index >= 0:
            try:
                return self.prepare(self.source[index]), broken
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # timm's data sets' too
                broken.append(self.name(index))
                if len(broken) == TRIES:
                    raise Undecodable(
                        f"{TRIES} images in a row do not decode, {broken[-1]} the last: {error}"
                    ) from error
                index = (index + 1) % len(self) if seed is not None else -1
        return self.blank, broken

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

    nothing = torch.tensor(IGNORE_INDEX)
    """The label of what counts for nothing."""

    def __init__(self, source: Any, transform: Callable[[Any], Tensor], mode: str = "RGB") -> None:
        super().__init__(source)
        self.transform, self.mode = transform, mode

    @cached_property
    def blank(self) -> tuple[Tensor, Tensor]:
        """A black image as the transform leaves it: what stands for nothing has the size of the others."""
        return self.transform(Image.new(self.mode, (1, 1))), self.nothing

    def prepare(self, sample: tuple[Any, Any]) -> tuple[Tensor, Tensor]:
        """Return the image and its label as tensors."""
        return _as_tensor(sample[0], self.transform, self.mode), torch.as_tensor(sample[1]).to(self.nothing)

    def batch(self, samples: list[tuple[Tensor, Tensor]], broken: list[str]) -> LabeledBatch:
        """Return images and labels."""
        images, labels = zip(*samples, strict=True)
        return LabeledBatch(torch.stack(images), torch.stack(labels), broken)


class Files(Dataset):
    """Image files with labels; gives the images as :func:`~vig_pyg.data.images.open_image` does.

    Args:
        samples: Paths and labels.
    """

    def __init__(self, samples: Sequence[tuple[str, int]]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        path, label = self.samples[index]
        return open_image(path), label


def _as_tensor(image: Image.Image, transform: Callable[[Any], Tensor], mode: str) -> Tensor:
    """Return an image as a model takes it, also where a data set of timm gives it as it is in its file."""
    check_pixels(image.size)
    return transform(in_mode(upright(image), mode))


def streamed(image: Image.Image, transform: Callable[[Any], Tensor], mode: str) -> Tensor | str:
    """Return an image of a shard as a model takes it, or why it cannot."""
    try:
        return _as_tensor(image, transform, mode)
    except ValueError as error:
        return f"an image of a shard ({error})"


def collate(samples: Sequence[tuple[Tensor | str, int]]) -> LabeledBatch:
    """Return a batch of what :func:`streamed` gives, with labels.

    Raises:
        Undecodable: no image of the batch can be used.
    """
    images = [image for image, _ in samples if isinstance(image, Tensor)]
    labels = [label for image, label in samples if isinstance(image, Tensor)]
    broken = [image for image, _ in samples if isinstance(image, str)]
    if not images:
        raise Undecodable(f"{len(broken)} images in a row cannot be used, the last is {broken[-1]}")
    return LabeledBatch(torch.stack(images), torch.tensor(labels), broken)
