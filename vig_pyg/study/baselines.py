"""Published models beside ours: what they cost here, and what they were published to achieve on ImageNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import timm
from torch import nn

from vig_pyg.models import fuse_for_inference
from vig_pyg.models.names import check_model_name
from vig_pyg.models.vision_gnn import VisionGNN


class Baseline(NamedTuple):
    """A model that timm knows, and its published accuracy, trained on ImageNet-1k and tested at 224×224."""

    name: str
    family: str
    top1: float | None
    """In percent; None where it is not known here."""
    source: str
    options: Mapping[str, Any] = {}

    def build(self) -> nn.Module:
        """Return the model, untrained."""
        return timm.create_model(self.name, **self.options)


def folded(model: nn.Module) -> nn.Module:
    """Return a model as it is for inference: ours with norms folded, others as timm makes them."""
    return fuse_for_inference(model) if isinstance(model, VisionGNN) else model


def baselines(names: Sequence[str] = ()) -> list[Baseline]:
    """Return all published models that timm knows here, or those of these names; others have no accuracy.

    Raises:
        ValueError: timm knows no model of that name.
    """
    known = {model.name: model for model in BASELINES if timm.is_model(model.name)}
    for name in names:
        check_model_name(name)
    return [known.get(name, Baseline(name, name.partition("_")[0], None, UNKNOWN)) for name in names] or [
        *known.values()
    ]


TABLE_4, TABLE_5 = "ViG paper, Table 4", "ViG paper, Table 5"
CONVNEXT = "Liu et al., 2022 (A ConvNet for the 2020s), Table 1"
PVT = "Wang et al., 2021 (PVT v2), the authors' README"
V1, V2 = "Munir et al., 2023 (MobileViG), abstract", "Avery et al., 2024 (MobileViGv2), abstract"
GREEDY, ADAPT = "Munir et al., 2024 (GreedyViG), abstract", "Munir et al., 2026 (AdaptViG), abstract"
WIGNET = "Spadaro et al., 2025 (WiGNet), the authors' README"
SECOND_HAND = "second-hand: the README of WiGNet"
UNKNOWN = "not known here"

BASELINES = (
    Baseline("vig_tiny", "ViG", 73.9, TABLE_4),
    Baseline("vig_small", "ViG", 80.4, TABLE_4),
    Baseline("vig_base", "ViG", 82.3, TABLE_4),
    Baseline("pvig_tiny", "Pyramid ViG", 78.2, TABLE_5),
    Baseline("pvig_small", "Pyramid ViG", 82.1, TABLE_5),
    Baseline("pvig_medium", "Pyramid ViG", 83.1, TABLE_5),
    Baseline("pvig_base", "Pyramid ViG", 83.7, TABLE_5),
    Baseline("resnet50", "ResNet", 79.8, f"{TABLE_5} (Wightman et al., 2021)"),
    Baseline("deit_tiny_patch16_224", "DeiT", 72.2, f"{TABLE_4} (Touvron et al., 2021)"),
    Baseline("deit_small_patch16_224", "DeiT", 79.8, f"{TABLE_4} (Touvron et al., 2021)"),
    Baseline("deit_base_patch16_224", "DeiT", 81.8, f"{TABLE_4} (Touvron et al., 2021)"),
    Baseline("swin_tiny_patch4_window7_224", "Swin", 81.3, f"{TABLE_5} (Liu et al., 2021)"),
    Baseline("swin_small_patch4_window7_224", "Swin", 83.0, f"{TABLE_5} (Liu et al., 2021)"),
    Baseline("swin_base_patch4_window7_224", "Swin", 83.5, f"{TABLE_5} (Liu et al., 2021)"),
    Baseline("poolformer_s12", "PoolFormer", 77.2, f"{TABLE_5} (Yu et al., 2022)"),
    Baseline("poolformer_s24", "PoolFormer", 80.3, "Yu et al., 2022 (MetaFormer), Table 2"),
    Baseline("poolformer_s36", "PoolFormer", 81.4, f"{TABLE_5} (Yu et al., 2022)"),
    Baseline("poolformer_m36", "PoolFormer", 82.1, "Yu et al., 2022 (MetaFormer), Table 2"),
    Baseline("poolformer_m48", "PoolFormer", 82.5, f"{TABLE_5} (Yu et al., 2022)"),
    Baseline("convnext_tiny", "ConvNeXt", 82.1, CONVNEXT),
    Baseline("convnext_small", "ConvNeXt", 83.1, CONVNEXT),
    Baseline("pvt_v2_b0", "PVT v2", 70.5, PVT),
    Baseline("pvt_v2_b1", "PVT v2", 78.7, PVT),
    Baseline("pvt_v2_b2", "PVT v2", 82.0, PVT),
    Baseline("pvt_v2_b3", "PVT v2", 83.1, PVT),
    Baseline("mobilevig_tiny", "MobileViG", 75.7, SECOND_HAND),
    Baseline("mobilevig_small", "MobileViG", 78.2, SECOND_HAND),
    Baseline("mobilevig_medium", "MobileViG", 80.6, SECOND_HAND),
    Baseline("mobilevig_base", "MobileViG", 82.6, V1),
    Baseline("mobilevigv2_tiny", "MobileViGv2", 77.7, V2),
    Baseline("mobilevigv2_small", "MobileViGv2", None, UNKNOWN),
    Baseline("mobilevigv2_medium", "MobileViGv2", None, UNKNOWN),
    Baseline("mobilevigv2_base", "MobileViGv2", 83.4, V2),
    Baseline("greedyvig_small", "GreedyViG", 81.1, SECOND_HAND),
    Baseline("greedyvig_medium", "GreedyViG", 82.9, SECOND_HAND),
    Baseline("greedyvig_base", "GreedyViG", 83.9, GREEDY),
    Baseline("adaptvig_small", "AdaptViG", None, UNKNOWN),
    Baseline("adaptvig_medium", "AdaptViG", 82.6, ADAPT),
    Baseline("adaptvig_base", "AdaptViG", None, UNKNOWN),
    Baseline("wignet_tiny", "WiGNet", 78.4, WIGNET, {"img_size": 224}),
    Baseline("wignet_small", "WiGNet", 82.0, f"{WIGNET}, at 256×256", {"img_size": 224}),
    Baseline("wignet_medium", "WiGNet", 83.0, f"{WIGNET}, at 256×256", {"img_size": 224}),
    Baseline("wignet_base", "WiGNet", None, UNKNOWN, {"img_size": 224}),
)
