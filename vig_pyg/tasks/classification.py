"""Classification as a task of the training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from accelerate.utils import send_to_device
from timm.data import Mixup
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vig_pyg.data.labeled import Batch, Data, load_data
from vig_pyg.tasks.accuracy import check_labels, evaluate
from vig_pyg.tasks.loaders import loaders
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.task import Epoch, Task
from vig_pyg.tasks.weights import save_weights


class Classification(Task):
    """Learns the classes of images by cross-entropy, with the recipe's smoothing and mixing.

    Args:
        data: Images with labels.
        recipe: How to train.
    """

    def __init__(self, data: Data, recipe: Recipe) -> None:
        self.data, self.recipe, self.classes = data, recipe, len(data.classes)
        mixes = recipe.mixup > 0 or recipe.cutmix > 0
        smoothing = recipe.label_smoothing
        self.mixup = (
            Mixup(recipe.mixup, recipe.cutmix, label_smoothing=smoothing, num_classes=self.classes) if mixes else None
        )
        self.smoothing = 0.0 if mixes else smoothing  # mixing smooths by itself

    @property
    def images(self) -> int:
        """Images to train on."""
        return len(self.data.train)

    def loaders(
        self, model: nn.Module, device_batch: int, rank: int = 0, processes: int = 1
    ) -> tuple[DataLoader, DataLoader]:
        """Return what loads a process's batches for training and for testing."""
        return loaders(self.data, model, self.recipe, device_batch, rank, processes)

    def loss(self, model: Callable[..., Any], batch: Batch, device: torch.device) -> Tensor:
        """Return the cross-entropy of a batch.

        Raises:
            ValueError: a label is no class.
        """
        check_labels(batch, self.classes)
        images, labels = send_to_device((batch.images, batch.labels), device, non_blocking=True)
        if self.mixup is not None:
            images, labels = self.mixup(images, labels)
        return F.cross_entropy(model(images), labels, label_smoothing=self.smoothing)

    def evaluate(self, model: nn.Module, batches: Iterable[Batch], device: torch.device) -> dict[str, float]:
        """Return the shares of held-out images whose class is the best guess, and among the best five."""
        found = evaluate(model, batches, self.classes, device)
        return {"accuracy": found.top1, "top5": found.top5}

    def save(self, model: nn.Module, weights: dict[str, Tensor], folder: Path, history: Sequence[Epoch]) -> None:
        """Write a model in timm's layout."""
        save_weights(model, weights, folder, self.recipe, self.data, history)


def load_recipe_data(recipe: Recipe) -> Data:
    """Return the data set that a recipe names."""
    return load_data(recipe.data, recipe.image_size or 32, recipe.data_root, recipe.classes)
