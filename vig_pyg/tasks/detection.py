"""Detection as a task of the training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import send_to_device
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from vig_pyg.data.coco import Coco, CocoImages
from vig_pyg.data.decoded import Decoded
from vig_pyg.data.samplers import Draw, OnceSampler
from vig_pyg.tasks.average_precision import Batch, evaluate
from vig_pyg.tasks.detector_weights import save_detector
from vig_pyg.tasks.loaders import as_it_is, sampled_loaders
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.task import Epoch, Task


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

    def __getitems__(self, draws: Sequence[Draw]) -> Batch:
        """Return what was drawn, as one batch."""
        batch = Batch([], [], [])
        for index, seed in draws:
            sample, names = self.draw(index, seed)
            if sample is not None:
                batch.images.append(sample[0])
                batch.targets.append(sample[1])
            batch.broken.extend(names)
        return batch

    def name(self, index: int) -> str:
        """Return the file of an image."""
        return str(self.source.path(self.source.ids[index]))


class Detection(Task):
    """Learns to find objects, by the sum of the detector's own losses.

    Args:
        data: Images with objects.
        recipe: How to train.
    """

    def __init__(self, data: Coco, recipe: Recipe) -> None:
        self.data, self.recipe = data, recipe

    @property
    def images(self) -> int:
        """Images to train on."""
        return len(self.data.train)

    def loaders(
        self, model: nn.Module, device_batch: int, rank: int = 0, processes: int = 1
    ) -> tuple[DataLoader, DataLoader]:
        """Return what loads a process's batches for training and for testing."""
        train, test = Objects(self.data.train, self.recipe.flip), Objects(self.data.test)
        return sampled_loaders(train, test, self.data.name, self.recipe, device_batch, rank, processes)

    def loss(self, model: Callable[..., Any], batch: Batch, device: torch.device) -> Tensor:
        """Return the sum of the losses of a batch."""
        images, targets = send_to_device((batch.images, batch.targets), device, non_blocking=True)
        return torch.stack(list(model(images, targets).values())).sum()

    def evaluate(self, model: nn.Module, batches: Iterable[Batch], device: torch.device) -> dict[str, float]:
        """Return COCO's twelve figures for boxes and, with Mask R-CNN, for masks."""
        return evaluate(model, batches, len(self.data.classes), device).figures  # type: ignore[arg-type]

    def save(self, model: nn.Module, weights: dict[str, Tensor], folder: Path, history: Sequence[Epoch]) -> None:
        """Write a detector with its configuration and a card."""
        save_detector(weights, folder, self.recipe, self.data, history)


def held_out_batches(data: Coco, batch: int, workers: int = 0) -> DataLoader:
    """Return what loads every held-out image once."""
    test = Objects(data.test)
    return DataLoader(test, batch, sampler=OnceSampler(len(test)), num_workers=workers, collate_fn=as_it_is)
