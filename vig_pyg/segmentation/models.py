"""Semantic FPN: the segmentation head of Panoptic FPN over a feature pyramid on any backbone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

GROUPS = 32  # of group norm


class SemanticFPN(nn.Module):
    """A class for every pixel: backbone, feature pyramid and the semantic branch of Panoptic FPN.

    Called with images between 0 and 1: a tensor ``[B, 3, H, W]`` gives logits ``[B, num_classes, H, W]``, a list of
    ``[3, H, W]`` of any sizes gives a list of ``[num_classes, H, W]``. Each image is normalised, padded at the right
    and at the bottom to a multiple of the coarsest stride, and its logits are cropped again. Images of one padded size
    run together, others apart: nodes of an image find the same neighbours whatever else is in the list.

    Args:
        backbone: From images to feature maps ``[B, C, h, w]``, the finest first; has timm's ``feature_info``.
        num_classes: How many classes there are.
        channels: Width of the feature pyramid.
        head_channels: Width of the semantic branch.
        mean: Of the backbone's images, per channel.
        std: Their deviation.

    Reference: Kirillov, Girshick, He, Dollár, *Panoptic Feature Pyramid Networks*, CVPR 2019, Section 3.1, Figure 3.
    """

    def __init__(
        self,
        backbone: nn.Module,
        num_classes: int,
        *,
        channels: int = 256,
        head_channels: int = 128,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
    ) -> None:
        super().__init__()
        strides = backbone.feature_info.reduction()
        self.backbone, self.num_classes, self.stride = backbone, num_classes, strides[-1]
        self.fpn = FeaturePyramidNetwork(backbone.feature_info.channels(), channels)
        self.head = SemanticHead(channels, head_channels, num_classes, strides)
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    @overload
    def forward(self, images: Tensor) -> Tensor: ...
    @overload
    def forward(self, images: list[Tensor]) -> list[Tensor]: ...
    def forward(self, images: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
        """Return the logits of images."""
        if isinstance(images, Tensor):
            height, width = images.shape[-2:]
            return self._logits(self._padded(images))[..., :height, :width]
        padded = [self._padded(image) for image in images]
        alike = defaultdict(list)
        for number, image in enumerate(padded):
            alike[image.shape].append(number)
        logits = {}
        for numbers in alike.values():
            logits.update(zip(numbers, self._logits(torch.stack([padded[n] for n in numbers])), strict=True))
        return [logits[n][:, : image.size(1), : image.size(2)] for n, image in enumerate(images)]

    def _padded(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        return F.pad((images - self.mean) / self.std, (0, -width % self.stride, 0, -height % self.stride))

    def _logits(self, images: Tensor) -> Tensor:
        levels = self.fpn({str(level): x for level, x in enumerate(self.backbone(images))})
        return self.head(list(levels.values()))

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the backbone's blocks in the backward pass instead of keeping what is inside them."""
        self.backbone.set_grad_checkpointing(enable)  # type: ignore[operator]


class SemanticHead(nn.Module):
    r"""Brings all levels of a pyramid to the size of the finest, adds them up and tells classes apart.

    .. math::
        \mathrm{logits} = \mathrm{up}\Bigl(W \sum_l (\mathrm{up}_2 \circ \mathrm{ReLU} \circ \mathrm{GN} \circ
        \mathrm{conv}_{3×3})^{n_l}(P_l)\Bigr)

    where level :math:`l` is :math:`2^{n_l}` times as coarse as the finest, which has one convolution and is not
    enlarged; all enlarging is bilinear, the last of it to the size of the image.

    Args:
        channels: Width of every level.
        hidden: Width behind the first convolution.
        num_classes: How many classes there are.
        strides: Of the levels, in pixels, the finest first.
    """

    def __init__(self, channels: int, hidden: int, num_classes: int, strides: Sequence[int]) -> None:
        super().__init__()
        self.stride = strides[0]
        self.levels = nn.ModuleList()
        for stride in strides:
            doublings = (stride // strides[0]).bit_length() - 1
            layers: list[nn.Module] = []
            for step in range(max(1, doublings)):
                layers += [
                    nn.Conv2d(hidden if step else channels, hidden, 3, padding=1, bias=False),
                    nn.GroupNorm(GROUPS, hidden),
                    nn.ReLU(),
                ]
                if doublings:
                    layers.append(nn.Upsample(scale_factor=2, mode="bilinear"))
            self.levels.append(nn.Sequential(*layers))
        self.classifier = nn.Conv2d(hidden, num_classes, 1)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return logits ``[B, num_classes, H, W]`` of levels ``[B, channels, h, w]``, the finest first."""
        enlarged = [branch(x) for branch, x in zip(self.levels, levels, strict=True)]
        return F.interpolate(self.classifier(sum(enlarged)), scale_factor=self.stride, mode="bilinear")
