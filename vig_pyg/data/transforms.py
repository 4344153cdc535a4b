"""How images are prepared for a model: timm's transforms, with the model's own settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from timm.data import create_transform
from timm.data.model_config import resolve_input_data_config
from torch import Tensor, nn
from torchvision.transforms import Compose
from torchvision.transforms.v2.functional import get_size

from vig_pyg.data.images import check_resized


def inference_transform(model: nn.Module, image_size: int | None = None) -> Callable[[Any], Tensor]:
    """Return how an image is prepared for a model outside of training.

    It raises a ValueError for an image so elongated that it would be resized to more pixels than the limit.
    """
    config = data_config(model, image_size)
    transform = create_transform(**config)
    if config["crop_mode"] in ("squash", "border"):  # they resize to no more than what the model sees
        return transform
    shorter = min(config["input_size"][1:]) / config["crop_pct"]
    return Compose([partial(bounded, shorter=shorter), *transform.transforms])


def bounded(image: Any, shorter: float) -> Any:
    """Return an image, Pillow's or a tensor, unless it has too many pixels once its shorter side is ``shorter``.

    Raises:
        ValueError: names both sizes and the limit.
    """
    check_resized(get_size(image)[::-1], shorter)
    return image


def image_mode(model: nn.Module) -> str:
    """Return PIL's name for the channels that a model takes."""
    return "L" if getattr(model, "in_chans", 3) == 1 else "RGB"


def data_config(model: nn.Module, image_size: int | None = None) -> dict[str, Any]:
    """Return timm's settings for the images of a model: size, crop, interpolation, mean and deviation."""
    args: dict[str, Any] = {} if image_size is None else {"img_size": image_size}
    known = getattr(model, "pretrained_cfg", None) or {}
    for key in ("mean", "std"):
        values = known.get(key, ())
        if len(values) > 1 and len(values) != getattr(model, "in_chans", 3):
            args[key] = (sum(values) / len(values),)  # what timm does with a warning
    return resolve_input_data_config(model, args)
