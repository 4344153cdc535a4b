"""ViG: isotropic Vision GNN (paper, Section 3.2 and Table 1)."""

from typing import Any

from timm.models import generate_default_cfgs, register_model

from vig_pyg.checks import check_whole
from vig_pyg.graph.registry import takes
from vig_pyg.models.published import build_published, published_cfg
from vig_pyg.models.schedule import Stage
from vig_pyg.models.vision_gnn import VisionGNN


class ViG(VisionGNN):
    r"""An isotropic Vision GNN: all blocks work on the same nodes at the same width.

    Args:
        channels: Width ``D`` of the nodes.
        depth: Number of blocks.
        stride: Side in pixels of what becomes one node.
        options: The other keywords of :class:`~vig_pyg.models.vision_gnn.VisionGNN`, of which ``k`` is 9 to 18 by
            default, rising with depth as in the paper, and ``dilation`` ``min(l // 4 + 1, 196 // 18)`` in block ``l``.
    """

    isotropic = True
    nearest = (9, 18)
    most_dilated = 196 // 18

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        in_chans: int = 3,
        num_classes: int = 1000,
        *,
        channels: int = 192,
        depth: int = 12,
        stride: int = 16,
        **options: Any,
    ) -> None:
        check_whole(channels=channels, depth=depth)
        super().__init__([Stage(channels, depth)], img_size, in_chans, num_classes, stride=stride, **options)


default_cfgs = generate_default_cfgs(
    {
        "vig_tiny.in1k": published_cfg("vig/vig_ti_74.5.pth"),
        "vig_small.in1k": published_cfg("vig/vig_s_80.6.pth"),
        "vig_base.in1k": published_cfg("vig/vig_b_82.6.pth"),
        "vig_micro.untrained": published_cfg(num_classes=10, input_size=(3, 32, 32), pool_size=(8, 8), crop_pct=1.0),
    }
)


def _create_vig(variant: str, pretrained: bool, given: dict[str, Any], **numbers: Any) -> ViG:
    kwargs = {**numbers, **given}
    check_whole(depth=kwargs["depth"])
    return build_published(ViG, variant, pretrained, min(4, kwargs["depth"]), **kwargs)


@register_model
def vig_tiny(pretrained: bool = False, **kwargs: Any) -> ViG:
    """ViG-Ti: 7.2 M parameters, 1.3 GMAC."""
    return _create_vig("vig_tiny", pretrained, kwargs, channels=192, depth=12)


@register_model
def vig_small(pretrained: bool = False, **kwargs: Any) -> ViG:
    """ViG-S: 22.7 M parameters, 4.5 GMAC."""
    return _create_vig("vig_small", pretrained, kwargs, channels=320, depth=16)


@register_model
def vig_base(pretrained: bool = False, **kwargs: Any) -> ViG:
    """ViG-B: 86.8 M parameters, 17.6 GMAC."""
    return _create_vig("vig_base", pretrained, kwargs, channels=640, depth=16)


@register_model
def vig_micro(pretrained: bool = False, **kwargs: Any) -> ViG:
    """A small ViG for images of 32×32 pixels: 8×8 nodes, 4 blocks of width 48."""
    k = {"k": 9} if takes(kwargs.get("graph", "knn"), "k") else {}
    return _create_vig("vig_micro", pretrained, kwargs, img_size=32, channels=48, depth=4, stride=4, **k)
