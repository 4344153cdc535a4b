"""Semantic FPN: the segmentation head of Panoptic FPN over a feature pyramid on any backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vig_pyg.checks import check_whole
from vig_pyg.models.feature_pyramid import FeaturePyramid, OnPyramid, backbone_of
from vig_pyg.models.inputs import by_size, check_images

FINEST = 4  # stride of the finest level
GROUP = 4  # channels that group norm takes together: 32 groups of 128


def semantic_fpn(
    backbone: str | nn.Module,
    num_classes: int,
    *,
    channels: int = 256,
    frozen_stages: int = 0,
    frozen_norm: bool = False,
    init: str | None = None,
    backbone_options: dict[str, Any] | None = None,
) -> SemanticFPN:
    """Return Semantic FPN (Kirillov et al., *Panoptic Feature Pyramid Networks*, Section 3.1) on a backbone.

    Its levels are the feature maps of stride 4 and more; the head is half as wide as the pyramid. The arguments are
    those of :class:`~vig_pyg.detection.Detector`, but that ``num_classes`` counts a background too.
    """
    check_whole(num_classes=num_classes)
    body = backbone_of(backbone, init, backbone_options)
    return SemanticFPN(FeaturePyramid(body, FINEST, channels, None, frozen_stages, frozen_norm), num_classes)


class SemanticFPN(OnPyramid):
    """Feature pyramid, the semantic branch of Panoptic FPN, and logits for every pixel.

    Called with images between 0 and 1: a tensor ``[B, 3, H, W]`` gives logits ``[B, num_classes, H, W]``, a list of
    ``[3, H, W]`` of any sizes gives a list of ``[num_classes, H, W]``. Each image is normalized, padded at the right
    and at the bottom to a multiple of the coarsest stride, and its logits are cropped again. Images of one padded size
    run together, others apart: the nodes of an image never see what another image in the list needs.

    Args:
        backbone: The feature pyramid.
        num_classes: How many classes there are.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: FeaturePyramid, num_classes: int) -> None:
        super().__init__()
        self.backbone, self.num_classes, self.stride = backbone, num_classes, backbone.strides[-1]
        self.head = SemanticHead(backbone.out_channels, backbone.out_channels // 2, num_classes, backbone.strides)
        for name in ("mean", "std"):
            values = torch.tensor(getattr(backbone, name)).view(-1, 1, 1)
            self.register_buffer(name, values, persistent=False)
        self.register_load_state_dict_post_hook(type(self).init_non_persistent_buffers)

    def init_non_persistent_buffers(self, *_: object) -> None:
        """Fill in mean and deviation again, which no file holds: after ``to_empty``, say. torch and timm call it."""
        for buffer, values in ((self.mean, self.backbone.mean), (self.std, self.backbone.std)):
            if not buffer.is_meta:
                buffer.copy_(torch.tensor(values, device="cpu").view(-1, 1, 1))

    @overload
    def forward(self, images: Tensor) -> Tensor: ...
    @overload
    def forward(self, images: list[Tensor]) -> list[Tensor]: ...
    def forward(self, images: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
        """Return the logits of images.

        Raises:
            TypeError: they are no floating point numbers of the weights' type.
            ValueError: their shape or device is wrong.
        """
        check_images(images, self.head.classifier.weight)
        if isinstance(images, Tensor):
            height, width = images.shape[-2:]
            return self._logits(self._padded(images))[..., :height, :width]
        found = by_size(lambda alike: self._logits(torch.stack(alike)), [self._padded(image) for image in images])
        return [logits[:, : image.size(1), : image.size(2)] for logits, image in zip(found, images, strict=True)]

    def _padded(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        return F.pad((images - self.mean) / self.std, (0, -width % self.stride, 0, -height % self.stride))

    def _logits(self, images: Tensor) -> Tensor:
        return self.head(list(self.backbone(images).values()))


class SemanticHead(nn.Module):
    r"""Brings all levels of a pyramid to the size of the finest, adds them up and tells classes apart.

    .. math::
        \mathrm{logits} = \mathrm{up}\Bigl(W \sum_l \bigl(\mathrm{up}_2 \circ \mathrm{ReLU} \circ \mathrm{GN} \circ
        \mathrm{conv}_{3×3}\bigr)^{n_l}(P_l)\Bigr)

    where level :math:`l` is :math:`2^{n_l}` times as coarse as the finest, which has one convolution and is not
    enlarged; all enlarging is bilinear, the last of it to the size of the image.

    Args:
        channels: Width of every level.
        hidden: Width after the first convolution.
        num_classes: How many classes there are.
        strides: Of the levels, in pixels, the finest first.

    Raises:
        ValueError: ``hidden`` is no multiple of four.
    """

    def __init__(self, channels: int, hidden: int, num_classes: int, strides: Sequence[int]) -> None:
        super().__init__()
        if hidden < GROUP or hidden % GROUP:
            raise ValueError(f"half the channels of the pyramid must be a multiple of {GROUP}, got {hidden}")
        self.stride = strides[0]
        self.levels = nn.ModuleList()
        for stride in strides:
            doublings = (stride // strides[0]).bit_length() - 1
            layers: list[nn.Module] = []
            for step in range(max(1, doublings)):
                layers += [
                    nn.Conv2d(hidden if step else channels, hidden, 3, padding=1, bias=False),
                    nn.GroupNorm(hidden // GROUP, hidden),
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
