"""Pyramid ViG: Vision GNN in stages of falling resolution (paper, Section 3.2 and Table 2)."""

from collections.abc import Sequence
from typing import Any

from timm.models import generate_default_cfgs, register_model

from vig_pyg.checks import check_flags, check_whole_lists
from vig_pyg.models.published import build_published, published_cfg
from vig_pyg.models.schedule import Stage
from vig_pyg.models.vision_gnn import VisionGNN


class PyramidViG(VisionGNN):
    r"""A Vision GNN whose stages halve height and width and widen the nodes.

    Neighbors are ranked by feature distance plus relative position; in early stages they are looked for among
    average-pooled nodes.

    Args:
        channels: Width ``D`` of every stage.
        depths: Number of blocks of every stage.
        pools: Side of the window that is averaged into one source, for every stage.
        stride: Side in pixels of what becomes one node of the first stage.
        relative: Add the relative position to the distance.
        options: The other keywords of :class:`~vig_pyg.models.vision_gnn.VisionGNN`, of which ``k`` is 9 by default
            and ``dilation`` ``min(l // 4 + 1, 49 // 9)`` in block ``l`` of all.
    """

    isotropic = False
    nearest = (9, 9)
    most_dilated = 49 // 9

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        in_chans: int = 3,
        num_classes: int = 1000,
        *,
        channels: Sequence[int] = (48, 96, 240, 384),
        depths: Sequence[int] = (2, 2, 6, 2),
        pools: Sequence[int] = (4, 2, 1, 1),
        stride: int = 4,
        relative: bool = True,
        **options: Any,
    ) -> None:
        check_flags(relative=relative)
        check_whole_lists(channels=channels, depths=depths, pools=pools)
        if not len(channels) == len(depths) == len(pools) > 0:
            given = f"{len(channels)}, {len(depths)}, {len(pools)}"
            raise ValueError(f"channels, depths and pools must have one entry per stage, got {given}")
        stages = [Stage(*numbers, relative) for numbers in zip(channels, depths, pools, strict=True)]
        super().__init__(stages, img_size, in_chans, num_classes, stride=stride, **options)


default_cfgs = generate_default_cfgs(
    {
        "pvig_tiny.in1k": published_cfg("pyramid-vig/pvig_ti_78.5.pth.tar", pool_size=(7, 7)),
        "pvig_small.in1k": published_cfg("pyramid-vig/pvig_s_82.1.pth.tar", pool_size=(7, 7)),
        "pvig_medium.in1k": published_cfg("pyramid-vig/pvig_m_83.1.pth.tar", pool_size=(7, 7)),
        "pvig_medium.in21k": published_cfg("pyramid-vig/pvig_m_im21k_90e.pth", pool_size=(7, 7), num_classes=21841),
        "pvig_base.in1k": published_cfg("pyramid-vig/pvig_b_83.66.pth.tar", pool_size=(7, 7), crop_pct=0.95),
        "pvig_micro.untrained": published_cfg(num_classes=10, input_size=(3, 32, 32), pool_size=(4, 4), crop_pct=1.0),
    }
)


def _create_pvig(variant: str, pretrained: bool, given: dict[str, Any], **numbers: Any) -> PyramidViG:
    kwargs = {**numbers, **given}
    check_whole_lists(depths=kwargs["depths"])
    return build_published(PyramidViG, variant, pretrained, tuple(range(len(kwargs["depths"]))), **kwargs)


@register_model
def pvig_tiny(pretrained: bool = False, **kwargs: Any) -> PyramidViG:
    """Pyramid ViG-Ti: 10.7 M parameters, 1.7 GMAC."""
    return _create_pvig("pvig_tiny", pretrained, kwargs, channels=(48, 96, 240, 384), depths=(2, 2, 6, 2))


@register_model
def pvig_small(pretrained: bool = False, **kwargs: Any) -> PyramidViG:
    """Pyramid ViG-S: 27.3 M parameters, 4.5 GMAC."""
    return _create_pvig("pvig_small", pretrained, kwargs, channels=(80, 160, 400, 640), depths=(2, 2, 6, 2))


@register_model
def pvig_medium(pretrained: bool = False, **kwargs: Any) -> PyramidViG:
    """Pyramid ViG-M: 49.5 M parameters, 8.8 GMAC."""
    return _create_pvig("pvig_medium", pretrained, kwargs, channels=(96, 192, 384, 768), depths=(2, 2, 16, 2))


@register_model
def pvig_base(pretrained: bool = False, **kwargs: Any) -> PyramidViG:
    """Pyramid ViG-B: 93.0 M parameters, 16.8 GMAC."""
    return _create_pvig("pvig_base", pretrained, kwargs, channels=(128, 256, 512, 1024), depths=(2, 2, 18, 2))


@register_model
def pvig_micro(pretrained: bool = False, **kwargs: Any) -> PyramidViG:
    """A small Pyramid ViG for images of 32×32 pixels: three stages of 16×16, 8×8 and 4×4 nodes."""
    numbers = {"channels": (32, 64, 128), "depths": (1, 2, 1), "pools": (2, 1, 1)}
    return _create_pvig("pvig_micro", pretrained, kwargs, img_size=32, stride=2, **numbers)
