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

from vig_pyg.segmentation.data import IGNORED, Batch, SegmentationData, loaders
from vig_pyg.segmentation.evaluate import evaluate
from vig_pyg.segmentation.weights import save_segmenter
from vig_pyg.train.recipe import Recipe
from vig_pyg.train.run import Epoch
from vig_pyg.train.task import Task


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
