"""RetinaNet and Mask R-CNN, torchvision's, on a feature pyramid of any backbone."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from accelerate.utils import convert_to_fp32
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, LastLevelMaxPool, LastLevelP6P7

from vig_pyg.checks import check_flags, check_shares, check_whole
from vig_pyg.models.feature_pyramid import FeaturePyramid, OnPyramid, backbone_of
from vig_pyg.models.inputs import by_size, check_images, check_targets
from vig_pyg.registry import nearest

RATIOS = (0.5, 1.0, 2.0)  # of an anchor's height to its width

Target = dict[str, Tensor]
MakeNorm: TypeAlias = Callable[[int], nn.Module]


class Detector(OnPyramid):
    """What both detectors add to torchvision's: classes from 0, and images that are found alike in any batch.

    ``detector(images, targets)`` returns the losses by name in training, ``detector(images)`` a dictionary of
    ``boxes [N, 4]`` (left, top, right, bottom in pixels), ``labels [N]``, ``scores [N]`` and, by Mask R-CNN,
    ``masks [N, 1, H, W]`` for every image. Images are ``[3, H, W]`` from 0 to 1, of any sizes; a target holds
    ``boxes``, ``labels`` and, for Mask R-CNN, ``masks [N, H, W]``. Labels count from 0, the background is none.

    In training a batch is padded to its largest image, as is usual; otherwise images of other sizes are looked at
    apart. Under autocast boxes and losses stay in float32: half precision would move boxes by pixels.

    Args:
        backbone: A name that timm knows, or a module that
            :class:`~vig_pyg.models.feature_pyramid.FeaturePyramid` takes.
        num_classes: Classes of objects; the background is none.
        channels: Width of the pyramid and of the heads.
        min_size: Pixels of an image's shorter side after resizing.
        max_size: Pixels of its longer side, at most.
        frozen_stages: Stages of the backbone that are not trained.
        frozen_norm: Keep the backbone's batch norms as they are.
        group_norm: Normalize in pyramid and heads, with which a detector learns from random weights too (He et al.,
            *Rethinking ImageNet Pre-training*).
        init: A file of classification weights for the backbone.
        backbone_options: More keywords of the backbone, such as ``conv`` or ``drop_path_rate``.
        options: More keywords of torchvision's detector, such as ``score_thresh``.

    Raises:
        ValueError: the backbone is no pyramid, or an option does not fit.
    """

    finest: int  # stride of a feature map that is used
    first_label = 0  # of torchvision's
    finds_masks = False
    defaults: Mapping[str, Any] = {}  # that are not torchvision's
    precise: tuple[str, ...]  # what gives boxes, scores and masks
    coarser: Callable[[int, int], ExtraFPNBlock]  # from the widths of the last map and of the pyramid
    parts: Callable[[FeaturePyramid, int, MakeNorm | None], dict[str, Any]]  # of torchvision's, by its keywords

    def __init__(
        self,
        backbone: str | nn.Module,
        num_classes: int,
        *,
        channels: int = 256,
        min_size: int = 800,
        max_size: int = 1333,
        frozen_stages: int = 0,
        frozen_norm: bool = False,
        group_norm: bool = False,
        init: str | None = None,
        backbone_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        check_whole(num_classes=num_classes, channels=channels, min_size=min_size, max_size=max_size)
        check_flags(group_norm=group_norm)
        if max_size < min_size:
            raise ValueError(f"max_size must be at least min_size={min_size}, got {max_size}")
        body, norm = backbone_of(backbone, init, backbone_options), _group_norm if group_norm else None
        pyramid = FeaturePyramid(body, self.finest, channels, self.coarser, frozen_stages, frozen_norm, norm)
        pixels = {"min_size": min_size, "max_size": max_size, "image_mean": pyramid.mean, "image_std": pyramid.std}
        _check_options(type(self).__name__, inspect.signature(super().__init__).parameters, options)
        super().__init__(pyramid, **self.parts(pyramid, num_classes, norm), **{**pixels, **self.defaults, **options})
        self.num_classes = num_classes
        for name in self.precise:
            self.get_submodule(name).register_forward_hook(_in_float32)

    def forward(self, images: list[Tensor], targets: list[Target] | None = None) -> Any:
        """Return the losses in training, else the objects that were found.

        Raises:
            TypeError: images are no floating point numbers of the weights' type, or targets no dictionaries.
            ValueError: a shape or a device is wrong, there is no image, one is so long that nothing is left of its
                shorter side, or boxes, labels or masks do not fit.
        """
        check_images(images, next(self.parameters()))
        if len(images) == 0:
            raise ValueError("images must hold at least one image, got none")
        for image in images:
            self.check_size(image.shape[-2:])
        if self.training:
            check_targets(targets, images, self.num_classes, self.finds_masks)
            shifted = [{**target, "labels": target["labels"] + self.first_label} for target in targets or []]
            return super().forward(images, shifted)
        found = by_size(super().forward, images)
        return [{**objects, "labels": objects["labels"] - self.first_label} for objects in found]

    def check_size(self, size: Sequence[int]) -> None:
        """Refuse an image whose shorter side would be less than a pixel, once its longer one has ``max_size``.

        Raises:
            ValueError: names height and width.
        """
        longest: int = self.transform.max_size  # type: ignore[union-attr,assignment]  # torchvision's
        if min(size) * longest < max(size):
            raise ValueError(f"an image of {size[1]}×{size[0]} pixels is too long to be resized to max_size={longest}")


class RetinaNet(Detector, detection.RetinaNet):
    """RetinaNet (Lin et al., *Focal Loss for Dense Object Detection*); the arguments are those of :class:`Detector`.

    Its levels are the feature maps of stride 8 and more, and two beyond them made from the last map (C5), as in the
    paper; anchors are 4, 5 and 6.3 strides wide at three ratios.
    """

    finest = 8
    defaults: Mapping[str, Any] = {"detections_per_img": 100}  # as many as COCO counts, and Mask R-CNN finds
    precise = ("head",)

    @staticmethod
    def coarser(last: int, channels: int) -> ExtraFPNBlock:
        """Return what makes two levels of the last map."""
        levels = LastLevelP6P7(last, channels)
        levels.use_P5 = False  # torchvision would, where both are equally wide
        return levels

    @staticmethod
    def parts(pyramid: FeaturePyramid, num_classes: int, norm: MakeNorm | None) -> dict[str, Any]:
        """Return anchors and head."""
        last = pyramid.strides[-1]
        sides = [4 * stride for stride in (*pyramid.strides, 2 * last, 4 * last)]
        sizes = tuple((side, int(side * 2 ** (1 / 3)), int(side * 2 ** (2 / 3))) for side in sides)
        return {
            "num_classes": num_classes,
            "anchor_generator": AnchorGenerator(sizes, (RATIOS,) * len(sizes)),
            "head": RetinaNetHead(pyramid.out_channels, len(sizes[0]) * len(RATIOS), num_classes, norm),
        }


class MaskRCNN(Detector, detection.MaskRCNN):
    """Mask R-CNN (He et al., 2017); the arguments are those of :class:`Detector`.

    Its levels are the feature maps of stride 4 and more, and one beyond them by pooling; anchors are 8 strides wide
    at three ratios. The box head is four times as wide as the pyramid, the mask head as wide.
    """

    finest = 4
    first_label = 1  # 0 is the background
    finds_masks = True
    precise = ("rpn.head", "roi_heads.box_predictor", "roi_heads.mask_predictor")

    @staticmethod
    def coarser(last: int, channels: int) -> ExtraFPNBlock:
        """Return what pools the last level."""
        return LastLevelMaxPool()

    @staticmethod
    def parts(pyramid: FeaturePyramid, num_classes: int, norm: MakeNorm | None) -> dict[str, Any]:
        """Return anchors and heads, whose predictors tell torchvision the number of classes."""
        channels, levels = pyramid.out_channels, [str(level) for level in range(len(pyramid.strides))]
        sizes = tuple((8 * stride,) for stride in (*pyramid.strides, 2 * pyramid.strides[-1]))
        return {
            "rpn_anchor_generator": AnchorGenerator(sizes, (RATIOS,) * len(sizes)),
            "box_roi_pool": MultiScaleRoIAlign(levels, output_size=7, sampling_ratio=2),
            "box_head": TwoMLPHead(channels * 7**2, 4 * channels),
            "box_predictor": FastRCNNPredictor(4 * channels, num_classes + 1),
            "mask_roi_pool": MultiScaleRoIAlign(levels, output_size=14, sampling_ratio=2),
            "mask_head": MaskRCNNHeads(channels, (channels,) * 4, dilation=1, norm_layer=norm),
            "mask_predictor": MaskRCNNPredictor(channels, channels, num_classes + 1),
        }


def _in_float32(_: nn.Module, __: Any, output: Any) -> Any:
    return convert_to_fp32(output)


def _group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(math.gcd(32, channels // 2), channels)


def _check_options(detector: str, known: Mapping[str, inspect.Parameter], options: dict[str, Any]) -> None:
    """Refuse options that a detector does not have; torchvision's own let any word pass."""
    for name in options:
        if name not in known:
            raise ValueError(f"{detector} has no option {name!r}{nearest(name, known)}")
        if name.endswith("_thresh"):
            check_shares(**{name: options[name]})
        elif type(known[name].default) is int:
            check_whole(**{name: options[name]})


retinanet, mask_rcnn = RetinaNet, MaskRCNN
HEADS: dict[str, type[Detector]] = {"retinanet": retinanet, "mask_rcnn": mask_rcnn}
