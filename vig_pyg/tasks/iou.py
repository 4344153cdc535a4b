"""Measuring class maps: intersection over union."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from accelerate.utils import send_to_device
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix

from vig_pyg.data.masks import IGNORE_INDEX, SegmentationBatch
from vig_pyg.tasks.results import Device, OnBatch


class Evaluation(NamedTuple):
    """Counts of pixels ``[true, guessed]``, how many images they are of, and the names of those that did not decode."""

    confusion: Tensor
    images: int
    broken: list[str]

    @property
    def figures(self) -> dict[str, float]:
        """The mean intersection over union, and the share of pixels whose class was guessed."""
        return {"miou": self.miou, "pixel_accuracy": self.pixel_accuracy}

    @property
    def iou(self) -> Tensor:
        r"""Intersection over union of every class, :math:`\frac{TP}{TP + FP + FN}` over all pixels of all images.

        Not a number for a class that is neither there nor guessed.
        """
        found = self.confusion.diag()
        return found / (self.confusion.sum(0) + self.confusion.sum(1) - found)

    @property
    def miou(self) -> float:
        """Mean of :attr:`iou` over the classes that are there or guessed."""
        return self.iou.nanmean().item()

    @property
    def pixel_accuracy(self) -> float:
        """Share of the pixels whose class was guessed."""
        return (self.confusion.diag().sum() / self.confusion.sum()).item()


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[SegmentationBatch],
    num_classes: int,
    device: Device = "cpu",
    on_batch: OnBatch = lambda _: None,
) -> Evaluation:
    """Guess the class of every pixel once, as :func:`vig_pyg.train.evaluate` does that of every image.

    Args:
        model: From a list of images ``[3, H, W]`` to a list of logits ``[num_classes, H, W]``.
        batches: A mask of another size than its image gets the logits resized; 255 in it is not counted.
        num_classes, device, on_batch: As there.

    Raises:
        ValueError: no image could be read.
    """
    model.eval()
    confusion = MulticlassConfusionMatrix(num_classes, ignore_index=IGNORE_INDEX).to(device)
    images, broken = torch.zeros((), dtype=torch.long, device=device), []
    for batch in batches:
        broken += batch.broken
        if len(batch.images):
            sizes = [mask.shape for mask in batch.masks]
            for guess, mask in zip(guess_classes(model, batch.images, sizes, device), batch.masks, strict=True):
                confusion.update(guess.unsqueeze(0), mask.unsqueeze(0).to(device))
        images += len(batch.images)
        on_batch(len(batch.images) + len(batch.broken))
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(images)
    if int(images) == 0:
        raise ValueError("there is no image to evaluate on that could be read")
    return Evaluation(confusion.compute().long().cpu(), int(images), broken)


def guess_classes(
    model: nn.Module, images: Iterable[Tensor], sizes: Iterable[Sequence[int]], device: Device
) -> list[Tensor]:
    """Return the likeliest class of every pixel ``[H, W]`` of every image ``[3, h, w]``, for sizes ``(H, W)``."""

    def resized(logits: Tensor, size: Sequence[int]) -> Tensor:
        same = logits.shape[1:] == tuple(size)
        return logits if same else F.interpolate(logits[None], tuple(size), mode="bilinear", align_corners=False)[0]

    logits = model(send_to_device(list(images), device, non_blocking=True))
    return [resized(score, size).argmax(0) for score, size in zip(logits, sizes, strict=True)]
