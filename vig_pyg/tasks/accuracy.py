"""Measuring a classifier on held-out images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate.utils import send_to_device
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix

from vig_pyg.data.decoded import IGNORE_INDEX, LabeledBatch
from vig_pyg.files import write_csv
from vig_pyg.tasks.results import Device, OnBatch


class Evaluation(NamedTuple):
    """Shares of images whose class is the best guess and among the best five, and counts ``[true, guessed]``."""

    top1: float
    top5: float
    confusion: Tensor
    broken: list[str]

    @property
    def figures(self) -> dict[str, float]:
        """Accuracy, and the share of images whose class is among the best five guesses."""
        return {"accuracy": self.top1, "top5": self.top5}

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
    batches: Iterable[LabeledBatch],
    num_classes: int,
    device: Device = "cpu",
    on_batch: OnBatch = lambda _: None,
) -> Evaluation:
    """Classify every image once, in evaluation mode, on the device where the model is.

    Labels of −1 are not counted. With several processes, counts are summed over all. ``on_batch`` is told the number
    of images or graphs after every batch.

    Raises:
        ValueError: a label is no class, or nothing could be counted.
    """
    model.eval()
    confusion = MulticlassConfusionMatrix(num_classes, ignore_index=IGNORE_INDEX).to(device)
    among_five, broken = torch.zeros((), dtype=torch.long, device=device), []
    for batch in batches:
        check_labels(batch, num_classes)
        broken += batch.broken
        images, labels = send_to_device((batch.images, batch.labels), device, non_blocking=True)
        best = model(images).topk(min(5, num_classes)).indices
        confusion.update(best[:, 0], labels)
        among_five += (best == labels.unsqueeze(1)).any(1).sum()
        on_batch(getattr(images, "num_graphs", len(labels)))
    counts = confusion.compute().long().cpu()
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(among_five)
    total = int(counts.sum())
    if total == 0:
        raise ValueError("there is nothing to evaluate on that could be read and has a label")
    return Evaluation(counts.diag().sum().item() / total, among_five.item() / total, counts, broken)


def check_labels(batch: LabeledBatch, num_classes: int) -> None:
    """Refuse labels that are no class, by a ValueError that names one."""
    wrong = batch.labels[(batch.labels >= num_classes) | (batch.labels < IGNORE_INDEX)]
    if len(wrong):
        raise ValueError(f"label {int(wrong[0])} is no class: the {num_classes} classes are 0 to {num_classes - 1}")


def write_confusion(
    confusion: Tensor, shares: Tensor, classes: Sequence[str], out: Path, counted: str, figure: str
) -> None:
    """Write a share of every class, and how much of it was taken for which, as ``classes.csv`` and ``confusion.csv``.

    ``confusion`` has counts ``[true, guessed]``; what was ``counted`` and which ``figure`` the shares are is in words.
    """
    per_class = zip(classes, confusion.sum(1).tolist(), shares.tolist(), strict=True)
    write_csv(out / "classes.csv", [("class", counted, figure), *per_class])
    counts = ((name, *row) for name, row in zip(classes, confusion.tolist(), strict=True))
    write_csv(out / "confusion.csv", [("true \\ guessed", *classes), *counts])


def draw_confusion(path: Path, found: Evaluation, classes: Sequence[str]) -> None:
    """Draw the share of every true class that was taken for every class; small matrices with their counts."""
    from matplotlib.figure import Figure

    side = min(14.0, 3.2 + 0.34 * len(classes))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    shares = (found.confusion / found.confusion.sum(1, keepdim=True).clamp(min=1)).numpy()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="guessed", ylabel="true", title=f"{100 * found.top1:.2f} % of {found.images:,} images")
    if len(classes) <= 30:
        ticks = range(len(classes))
        axes.set_xticks(ticks, classes, rotation=90 if max(map(len, classes)) > 2 else 0)
        axes.set_yticks(ticks, classes)
        for row, column in found.confusion.nonzero().tolist():
            color = "white" if shares[row, column] > 0.5 else "black"
            count = int(found.confusion[row, column])
            axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)
    figure.savefig(path, dpi=110, format="png")
