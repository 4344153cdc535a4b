"""Published models beside ours: what they cost here, and what they were published to achieve on ImageNet."""

from __future__ import annotations

from typing import NamedTuple

import timm
from torch import nn


class Baseline(NamedTuple):
    """A model that timm knows, and its published accuracy, trained on ImageNet-1k and tested at 224×224."""

    name: str
    family: str
    top1: float
    source: str

    def build(self) -> nn.Module:
        """Return the model, untrained."""
        return timm.create_model(self.name)


TABLE_4, TABLE_5 = "ViG paper, Table 4", "ViG paper, Table 5"

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
    Baseline("convnext_tiny", "ConvNeXt", 82.1, "Liu et al., 2022 (A ConvNet for the 2020s), Table 1"),
)
