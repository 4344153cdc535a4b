"""Measuring a detector on held-out images by COCO's figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from vig_pyg.data.coco import DetectionBatch
from vig_pyg.models.detectors import Detector
from vig_pyg.tasks.results import Device, OnBatch

# COCO's twelve and what torchmetrics calls them.
SIZES = ("small", "medium", "large")
FIGURES = {
    "ap": "map",
    **{f"ap{overlap}": f"map_{overlap}" for overlap in (50, 75)},
    **{f"ap_{size}": f"map_{size}" for size in SIZES},
    **{f"ar{objects}": f"mar_{objects}" for objects in (1, 10, 100)},
    **{f"ar_{size}": f"mar_{size}" for size in SIZES},
}


class AveragePrecision(NamedTuple):
    """COCO's figures by name, shares of one, −1 where no object is of that size; AP by class; what did not decode."""

    figures: dict[str, float]
    per_class: list[float]
    images: int
    broken: list[str]


@torch.no_grad()
def evaluate(
    model: Detector,
    batches: Iterable[DetectionBatch],
    num_classes: int,
    device: Device = "cpu",
    on_batch: OnBatch = lambda _: None,
) -> AveragePrecision:
    """Look for objects in every image once, in evaluation mode, and compare as COCO's own tools do.

    With several processes every one looks at its images, and all return the figures of all. ``on_batch`` is told the
    number of images after every batch.

    Raises:
        ValueError: no image could be read.
    """
    model.eval()
    kinds = {"bbox": "box", "segm": "mask"} if model.finds_masks else {"bbox": "box"}
    metric = MeanAveragePrecision(iou_type=tuple(kinds), class_metrics=True, sync_on_compute=False)  # type: ignore[arg-type]
    broken: list[str] = []
    for batch in batches:
        broken += batch.broken
        found = model([image.to(device) for image in batch.images]) if batch.images else []
        metric.update([on_cpu(objects) for objects in found], [_plain(target) for target in batch.targets])
        on_batch(len(batch.images) + len(batch.broken))
    _gather(metric)
    images = len(metric.groundtruth_labels)
    if images == 0:
        raise ValueError("there is no image to evaluate on that could be read")
    measured = metric.compute()
    prefix = {kind: f"{kind}_" if len(kinds) > 1 else "" for kind in kinds}
    figures = {
        f"{ours}_{name}": measured[f"{prefix[kind]}{theirs}"].item()
        for kind, ours in kinds.items()
        for name, theirs in FIGURES.items()
    }
    per_class = torch.full((num_classes,), -1.0)
    per_class[measured["classes"].reshape(-1).long()] = measured[f"{prefix['bbox']}map_per_class"].reshape(-1)
    return AveragePrecision(figures, per_class.tolist(), images, broken)


def on_cpu(objects: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return detections on the CPU in float32; a pixel belongs to a mask from one half on."""
    kept = {name: value.float().cpu() if value.is_floating_point() else value.cpu() for name, value in objects.items()}
    return kept | ({"masks": kept["masks"].squeeze(1) >= 0.5} if "masks" in kept else {})


def _plain(target: dict[str, Any]) -> dict[str, Tensor]:
    """Return a target for the metric."""
    tensors = {name: value for name, value in target.items() if isinstance(value, Tensor)}
    plain = {name: torch.as_tensor(value).as_subclass(Tensor) for name, value in tensors.items()}
    return plain | ({"masks": plain["masks"].bool()} if "masks" in plain else {})


def _gather(metric: MeanAveragePrecision) -> None:
    """Let every process hold what all have found. torchmetrics does it only for equally many images in each."""
    if not torch.distributed.is_initialized():
        return
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, metric.metric_state)
    for name in parts[0]:
        setattr(metric, name, [item for part in parts for item in part[name]])


def as_rows(found: AveragePrecision) -> list[list[str]]:
    """Return COCO's figures as rows for the screen, in percent."""
    kinds = [kind for kind in ("box", "mask") if f"{kind}_ap" in found.figures]
    rows = [["figure", *kinds]]
    for name in FIGURES:
        shares = [found.figures[f"{kind}_{name}"] for kind in kinds]
        rows.append([name, *("–" if share < 0 else f"{100 * share:.1f}" for share in shares)])
    return rows
