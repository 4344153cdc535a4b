"""The built-in data set: scikit-learn's handwritten digits, 1 797 real images that come with the package."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vig_pyg.data.images import LARGEST_IMAGE


class Split(NamedTuple):
    """Images ``[N, 1, 32, 32]`` with labels ``[N]``, for training and held out."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def load_digits(size: int = 32) -> Split:
    """Return the digits, enlarged from 8×8 pixels and normalized to mean 0.5 and deviation 0.5.

    A fifth of every class, always the same, is held out.

    Args:
        size: Side of the images in pixels.

    Raises:
        TypeError: ``size`` is no whole number.
        ValueError: ``size`` is out of its range.
    """
    if type(size) is not int:
        raise TypeError(f"size must be a whole number, got {size!r}")
    if not 1 <= size <= LARGEST_IMAGE:
        raise ValueError(f"size must be between 1 and {LARGEST_IMAGE} pixels, got {size}")
    from sklearn.datasets import load_digits as load

    digits = load()
    images = torch.from_numpy(digits.images).float()[:, None] / 16
    images = F.interpolate(images, size=size, mode="bicubic", antialias=True).clamp(0, 1)
    images = (images - 0.5) / 0.5
    labels = torch.from_numpy(digits.target)
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    held_out[every_fifth(labels)] = True
    return Split(images[~held_out], labels[~held_out], images[held_out], labels[held_out])


def every_fifth(labels: Sequence[int] | Tensor) -> list[int]:
    """Return which images to hold out, by number: a fifth of every class, always the same."""
    random, classes, chosen = np.random.RandomState(0), np.asarray(labels), []
    for label in np.unique(classes):
        members = random.permutation(np.flatnonzero(classes == label))
        chosen += members[: max(1, round(len(members) / 5))].tolist()
    return sorted(chosen)


def shift(images: Tensor, pixels: int, generator: torch.Generator | None = None) -> Tensor:
    """Move every image ``[N, C, H, W]`` by up to ``pixels`` up, down, left or right; the border is repeated."""
    batch, _, height, width = images.shape
    padded = F.pad(images, (pixels,) * 4, mode="replicate")
    top, left = torch.randint(0, 2 * pixels + 1, (2, batch, 1), generator=generator)
    rows = top + torch.arange(height)
    columns = left + torch.arange(width)
    image = torch.arange(batch).view(-1, 1, 1)
    return padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
