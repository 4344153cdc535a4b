"""How timm builds the published models, where their weights are, and how their images are prepared."""

from contextlib import nullcontext
from typing import Any

import torch
from timm.models import build_model_with_cfg
from torch import nn

from vig_pyg.checks import check_kind, known_device
from vig_pyg.models.checkpoint import checkpoint_filter_fn
from vig_pyg.registry import refuse_saved_import

RELEASE = "https://github.com/huawei-noah/Efficient-AI-Backbones/releases/download"


def published_cfg(url: str = "", **kwargs: Any) -> dict[str, Any]:
    """Return timm's configuration of published weights at a URL; keywords replace entries."""
    return {
        "url": url,
        "num_classes": 1000,
        "input_size": (3, 224, 224),
        "pool_size": (14, 14),
        "crop_pct": 0.9,
        "interpolation": "bicubic",
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "first_conv": "stem.0.conv",
        "classifier": "head.fc2",
        "license": "apache-2.0",
        "paper_ids": "arXiv:2206.00272",
        "paper_name": "Vision GNN: An Image is Worth Graph of Nodes",
        **kwargs,
    }


def build_published(
    model: type[nn.Module],
    variant: str,
    pretrained: bool,
    out_indices: int | tuple[int, ...],
    /,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    **kwargs: Any,
) -> Any:
    """Build a variant as timm does, on a device and in a type of number; ``out_indices`` are its ``features_only``."""
    check_kind("a torch.dtype or None", torch.dtype | None, dtype=dtype)
    refuse_saved_import(kwargs)
    with nullcontext() if device is None else known_device(device):
        built = build_model_with_cfg(
            model,
            variant,
            pretrained,
            pretrained_filter_fn=checkpoint_filter_fn,
            feature_cfg={"out_indices": out_indices, "feature_cls": "getter"},
            **kwargs,
        )
    return built.to(dtype=dtype)
