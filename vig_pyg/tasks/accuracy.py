"""Measuring a classifier on held-out images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from accelerate.utils import send_to_device
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix

from vig_pyg.data.decoded import NOTHING, Batch


class Evaluation(NamedTuple):
    """Shares of images whose class is the best guess and among the best five, and counts ``[true, guessed]``."""

    top1: float
    top5: float
    confusion: Tensor
    broken: list[str]

    @property
    def images(self) -> int:
        """How many were counted."""
        return int(self.confusion.sum())

    @property
    def per_class(self) -> Tensor:
        """Share of every class's images that was classified correctly; not a number for a class without images."""
        return self.confusion.diag() / self.confusion.sum(1)


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[Batch],
    num_classes: int,
    device: torch.device | str = "cpu",
    on_batch: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Classify every image once, in evaluation mode. With several processes, counts are summed over all.

    Args:
        model: From images to logits.
        batches: Labels of −1 are not counted.
        num_classes: How many classes there are.
        device: Where the model is.
        on_batch: Called with the number of images behind every batch.

    Raises:
        ValueError: a label is no class, or no image could be counted.
    """
    model.eval()
    confusion = MulticlassConfusionMatrix(num_classes, ignore_index=NOTHING).to(device)
    among_five, broken = torch.zeros((), dtype=torch.long, device=device), []
    for batch in batches:
        check_labels(batch, num_classes)
        broken += batch.broken
        images, labels = send_to_device((batch.images, batch.labels), device, non_blocking=True)
        best = model(images).topk(min(5, num_classes)).indices
        confusion.update(best[:, 0], labels)
        among_five += (best == labels.unsqueeze(1)).any(1).sum()
        on_batch(len(labels))
    counts = confusion.compute().long().cpu()
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(among_five)
    total = int(counts.sum())
    if total == 0:
        raise ValueError("there is no image to evaluate on that could be read")
    return Evaluation(counts.diag().sum().item() / total, among_five.item() / total, counts, broken)


def check_labels(batch: Batch, num_classes: int) -> None:
    """Refuse labels that are no class.

    Raises:
        ValueError: names the label.
    """
    wrong = batch.labels[(batch.labels >= num_classes) | (batch.labels < NOTHING)]
    if len(wrong):
        raise ValueError(
            f"an image has label {int(wrong[0])}, but the {num_classes} classes are 0 to {num_classes - 1}"
        )
