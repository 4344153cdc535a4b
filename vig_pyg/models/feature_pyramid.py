"""Feature pyramids on any backbone: feature maps of several resolutions, joined by torchvision's layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import timm
from accelerate.utils import convert_to_fp32
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.data.model_config import resolve_input_data_config
from timm.layers import Format
from torch import Tensor, nn
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, FeaturePyramidNetwork

from vig_pyg.checks import check_flags, check_kind, check_whole
from vig_pyg.models.checkpoint import load_checkpoint
from vig_pyg.models.names import check_model_name, is_ours
from vig_pyg.models.vision_gnn import VisionGNN

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def backbone_of(backbone: str | nn.Module, init: str | None, options: dict[str, Any] | None) -> nn.Module:
    """Return the feature maps of a model that timm knows, ours or another, for images of any size, or those given.

    Args:
        backbone: A name such as ``pvig_small``, ``resnet50`` or ``swin_tiny_patch4_window7_224``, or a module.
        init: A file of classification weights to start from.
        options: More keywords of the model.

    Raises:
        TypeError: it is neither a name nor a module that tells its feature maps.
        ValueError: there is no such model, an option does not fit, or the weights are of another model.
        FileNotFoundError: there are no such weights.
    """
    if not isinstance(backbone, str):
        check_kind("a name that timm knows or a module", nn.Module, backbone=backbone)
        if not hasattr(backbone, "feature_info"):
            raise TypeError(f"a backbone must tell its feature maps by feature_info, got {type(backbone).__name__}")
        return backbone
    check_model_name(backbone)
    check_kind("a path or None", str | Path | None, init=init)
    check_kind("a dictionary or None", dict | None, backbone_options=options)
    for name in options or {}:
        check_kind("text", str, **{"every name in backbone_options": name})
    options = {**({"strict_img_size": False} if backbone.startswith("swin") else {}), **(options or {})}
    if init is not None and not is_ours(backbone):
        _check_weights(backbone, init)
        options |= {"pretrained": True, "pretrained_cfg_overlay": {"file": init}}
    try:
        body: Any = timm.create_model(backbone, features_only=True, **options)
    except TypeError as error:
        raise ValueError(f"{backbone} does not take these options: {error}") from None
    if init is not None and is_ours(backbone):
        load_checkpoint(body.model, init)
    return body


def _check_weights(name: str, init: str) -> None:
    """Refuse weights of another model; for feature maps timm takes what fits and leaves the rest at random."""
    classifier = f"{timm.get_pretrained_cfg(name).classifier}.weight"  # type: ignore[union-attr]
    state = timm.models.load_state_dict(init)
    classes = len(state[classifier]) if classifier in state else 1000
    overlay = {"file": init, "num_classes": classes}
    try:
        timm.create_model(name, num_classes=classes, pretrained=True, pretrained_cfg_overlay=overlay)
    except RuntimeError as error:
        raise ValueError(f"{init} holds no weights of {name}: {str(error).splitlines()[1].strip()}") from None


class FeaturePyramid(nn.Module):
    """Feature maps ``[B, C, H/s, W/s]`` of rising stride ``s``, made equally wide and enriched from coarse to fine.

    What torchvision's detectors call a backbone (Lin et al., *Feature Pyramid Networks for Object Detection*).

    Args:
        body: Gives the feature maps, and tells their channels and strides by timm's ``feature_info``.
        finest: The smallest stride of a map that is used.
        channels: Width of all levels.
        coarser: From the widths of the last map and of the levels to what makes further, coarser levels; None for none.
        frozen_stages: How many of the body's feature maps, the finest first, stay as they are: all that comes before
            them takes no gradient and is in evaluation mode.
        frozen_norm: The same for every batch norm of the body.
        norm: Makes the normalization after the pyramid's convolutions; None for none.

    Raises:
        ValueError: the body is no pyramid with maps as coarse as that, or has fewer stages.
    """

    def __init__(
        self,
        body: nn.Module,
        finest: int,
        channels: int,
        coarser: Callable[[int, int], ExtraFPNBlock] | None = None,
        frozen_stages: int = 0,
        frozen_norm: bool = False,
        norm: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        check_whole(channels=channels)
        check_flags(frozen_norm=frozen_norm)
        check_whole(0, frozen_stages=frozen_stages)
        info: Any = body.feature_info
        strides = info.reduction()
        self.used = [index for index, stride in enumerate(strides) if stride >= finest]
        if not self.used or strides != sorted(set(strides)):
            raise ValueError(f"a pyramid needs feature maps of rising strides, {finest} at least, got {strides}")
        if frozen_stages > len(strides):
            raise ValueError(f"frozen_stages must be between 0 and {len(strides)}, got {frozen_stages}")
        self.strides = [strides[index] for index in self.used]
        self.body, self.out_channels, self.frozen_norm = body, channels, frozen_norm
        # Of the images that the backbone's weights were made for.
        pixels = resolve_input_data_config(body) if hasattr(body, "pretrained_cfg") else {}
        self.mean, self.std = pixels.get("mean", IMAGENET_DEFAULT_MEAN), pixels.get("std", IMAGENET_DEFAULT_STD)
        self.channels_last = getattr(body, "output_fmt", Format.NCHW) == Format.NHWC
        widths = [info.channels()[index] for index in self.used]
        extra = None if coarser is None else coarser(widths[-1], channels)
        self.fpn = FeaturePyramidNetwork(widths, channels, extra, norm)
        self.frozen = _names_up_to(body, info.module_name(frozen_stages - 1)) if frozen_stages else set()
        for module in self._frozen_modules():
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad = False

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Return the levels of images ``[B, 3, H, W]`` by name, the finest first, in float32 under autocast too."""
        maps = self.body(images)
        maps = list(maps.values()) if isinstance(maps, dict) else maps
        chosen = [maps[index].permute(0, 3, 1, 2) if self.channels_last else maps[index] for index in self.used]
        return convert_to_fp32(self.fpn(OrderedDict((str(level), map_) for level, map_ in enumerate(chosen))))

    def train(self, mode: bool = True) -> FeaturePyramid:
        """Set the mode of all but what is frozen."""
        super().train(mode)
        for module in self._frozen_modules():
            module.training = False
        return self

    def no_weight_decay(self) -> set[str]:
        """Return the names of parameters that take no weight decay: those that the model names."""
        names: set[str] = getattr(self.model, "no_weight_decay", set)()
        prefix = "body" if self.model is self.body else "body.model"
        return {f"{prefix}.{name}" for name in names}

    def _frozen_modules(self) -> Iterator[nn.Module]:
        for name, module in self.body.named_modules():
            if name in self.frozen or (self.frozen_norm and isinstance(module, BATCH_NORMS)):
                yield module

    @property
    def model(self) -> nn.Module:
        """The model that makes the feature maps."""
        model = getattr(self.body, "model", self.body)
        return model if isinstance(model, VisionGNN) else self.body


class OnPyramid(nn.Module):
    """What is built on a feature pyramid."""

    backbone: FeaturePyramid

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the backbone's blocks in the backward pass instead of keeping what is inside them."""
        self.backbone.model.set_grad_checkpointing(enable)  # type: ignore[operator]

    def no_weight_decay(self) -> set[str]:
        """Return the names of parameters that take no weight decay: those of the backbone's model."""
        return {f"backbone.{name}" for name in self.backbone.no_weight_decay()}


def _names_up_to(body: nn.Module, last: str) -> set[str]:
    """Return the names of the modules up to the last one inside of a stage, in the order in which they are computed."""
    names = [name for name, _ in body.named_modules()]
    flat = last.replace(".", "_")  # timm joins names where it flattens a sequence
    inside = [
        i for i, name in enumerate(names) if f"{name}.".removeprefix("model.").startswith((f"{last}.", f"{flat}."))
    ]
    return set(names[: inside[-1] + 1])
