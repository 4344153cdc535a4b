"""Semantic segmentation as a task of the training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from accelerate.utils import send_to_device
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vig_pyg.data.masks import IGNORED, Batch, Masks, ResizeImage, SegmentationData, crop_transform
from vig_pyg.data.samplers import OnceSampler
from vig_pyg.tasks.iou import evaluate
from vig_pyg.tasks.loaders import as_it_is, sampled_loaders
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.segmenter_weights import save_segmenter
from vig_pyg.tasks.task import Epoch, Task


class Segmentation(Task):
    """Learns the class of every pixel by cross-entropy.

    Args:
        data: Images with class numbers.
        recipe: How to train.
    """

    def __init__(self, data: SegmentationData, recipe: Recipe) -> None:
        self.data, self.recipe = data, recipe

    @property
    def images(self) -> int:
        """Images to train on."""
        return len(self.data.train)

    def loaders(
        self, model: nn.Module, device_batch: int, rank: int = 0, processes: int = 1
    ) -> tuple[DataLoader, DataLoader]:
        """Return what loads a process's batches for training and for testing."""
        return loaders(self.data, self.recipe, device_batch, rank, processes)

    def loss(self, model: Callable[..., Any], batch: Batch, device: torch.device) -> Tensor:
        """Return the mean cross-entropy over the pixels of a batch that have a class."""
        images, masks = send_to_device((batch.images, batch.masks), device, non_blocking=True)
        smoothing = self.recipe.label_smoothing
        losses = F.cross_entropy(
            model(images), masks, ignore_index=IGNORED, label_smoothing=smoothing, reduction="none"
        )
        return losses.sum() / (masks != IGNORED).sum().clamp(min=1)  # crops may show nothing that has a class

    def evaluate(self, model: nn.Module, batches: Iterable[Batch], device: torch.device) -> dict[str, float]:
        """Return the mean intersection over union, and the share of pixels whose class was guessed."""
        found = evaluate(model, batches, len(self.data.classes), device)
        return {"miou": found.miou, "pixel_accuracy": found.pixel_accuracy}

    def save(self, model: nn.Module, weights: dict[str, Tensor], folder: Path, history: Sequence[Epoch]) -> None:
        """Write a model for :func:`~vig_pyg.segmentation.load_segmenter`."""
        save_segmenter(weights, folder, self.recipe, self.data, history)


def loaders(
    data: SegmentationData, recipe: Recipe, device_batch: int, rank: int = 0, processes: int = 1
) -> tuple[DataLoader, DataLoader]:
    """Return what loads a process's batches for training and for testing.

    Raises:
        ValueError: there are fewer images than the batch takes, or the recipe does not say how large crops are.
    """
    if recipe.image_size is None:
        raise ValueError("segmentation needs image_size, the side of the training crops in pixels: add image_size=512")
    train = Masks(data.train, crop_transform(recipe.image_size, recipe.crop_scale, recipe.flip), stack=True)
    test = Masks(data.test, ResizeImage(recipe.image_size), stack=False)
    return sampled_loaders(train, test, data.name, recipe, device_batch, rank, processes)


def held_out_batches(data: SegmentationData, batch: int, workers: int = 0, image_size: int | None = None) -> DataLoader:
    """Return what loads every held-out image once, its shorter side resized to ``image_size`` (None: as it is)."""
    test = Masks(data.test, ResizeImage(image_size), stack=False)
    return DataLoader(test, batch, sampler=OnceSampler(len(test)), num_workers=workers, collate_fn=as_it_is)
