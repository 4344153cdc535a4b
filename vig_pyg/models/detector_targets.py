"""What detectors learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vig_pyg.checks import check_kind

LABELS = (torch.int64, torch.int32)


def check_targets(targets: Any, images: Sequence[Tensor], classes: int, masks: bool) -> None:
    """Refuse what does not say which objects are in every image.

    Raises:
        TypeError: they are no list of dictionaries of tensors.
        ValueError: there is another number of them, or boxes, labels or masks do not fit; names the first.
    """
    check_kind("a list of dictionaries in training, one for every image", list | tuple, targets=targets)
    if len(targets) != len(images):
        raise ValueError(f"there must be a target for every image, got {len(targets)} for {len(images)} images")
    for target, image in zip(targets, images, strict=True):
        check_kind("a dictionary", Mapping, target=target)
        for name in ("boxes", "labels", "masks")[: 2 + masks]:
            check_kind("a tensor", Tensor, **{f"{name!r} of a target": target.get(name)})
            if target[name].device != image.device:
                raise ValueError(f"{name!r} is on {target[name].device}, but its image on {image.device}")
        boxes, labels = target["boxes"], target["labels"]
        if boxes.dim() != 2 or boxes.size(1) != 4 or not boxes.is_floating_point():
            raise ValueError(f"boxes must be floats [N, 4], got {boxes.dtype} {list(boxes.shape)}")
        if not bool((boxes.isfinite().all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)).all()):
            raise ValueError("boxes must be finite (left, top, right, bottom) with right > left and bottom > top")
        if labels.shape != boxes.shape[:1] or labels.dtype not in LABELS:
            raise ValueError(f"labels must be whole numbers [{len(boxes)}], got {labels.dtype} {list(labels.shape)}")
        if len(labels) and not bool(((labels >= 0) & (labels < classes)).all()):
            raise ValueError(f"labels must be between 0 and {classes - 1}, got {labels.unique().tolist()}")
        if masks and target["masks"].shape != (len(boxes), *image.shape[1:]):
            wanted = [len(boxes), *image.shape[1:]]
            raise ValueError(f"masks must have shape {wanted}, got {list(target['masks'].shape)}")
