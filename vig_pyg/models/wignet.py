"""WiGNet: a Pyramid ViG whose nodes have their neighbors in windows (Spadaro et al., 2025)."""

from collections.abc import Mapping
from typing import Any

from timm.layers import to_2tuple
from timm.models import generate_default_cfgs, register_model

from vig_pyg.checks import check_size
from vig_pyg.graph.registry import takes
from vig_pyg.models.published import published_cfg
from vig_pyg.models.pyramid_vig import PyramidViG, create_pvig

# The one file that the authors released, of WiGNet-Ti at 256×256: it was never fetched here, and its content is unseen.
RELEASE = "https://drive.google.com/uc?export=download&id=11bDJaiYxCIwG2OxapIJSkQZys38wDI4S"


def _cfg(url: str = "", **kwargs: Any) -> dict[str, Any]:
    work = {"paper_ids": "arXiv:2410.00807", "paper_name": "WiGNet: Windowed Vision Graph Neural Network"}
    size = {"input_size": (3, 256, 256), "pool_size": (8, 8)}
    return published_cfg(url, license="bsd-3-clause", **work, **size, **kwargs)


default_cfgs = generate_default_cfgs(
    {
        "wignet_tiny.in1k": _cfg(RELEASE),
        "wignet_small.untrained": _cfg(),
        "wignet_medium.untrained": _cfg(),
        "wignet_base.untrained": _cfg(crop_pct=0.95),
    }
)


def _create_wignet(variant: str, pretrained: bool, given: dict[str, Any], **numbers: Any) -> PyramidViG:
    """Build a variant: for images of 256×256 with windows of 8×8 nodes that adapt ``k`` where they are shifted, for
    those of 224×224, or a multiple, with windows of 7×7 that do not; ``graph_options`` may say otherwise.
    """
    size, graph, options = given.get("img_size", 256), given.get("graph", "window"), given.get("graph_options") or {}
    check_size(img_size=size)
    sevens = all(side % 224 == 0 for side in to_2tuple(size))
    if graph == "window" and isinstance(options, Mapping):
        given = {**given, "graph_options": {"window": 7 if sevens else 8, "adapt": not sevens, **options}}
    if takes(graph, "dilation"):
        numbers["dilation"] = 1
    numbers |= {"img_size": size, "graph": graph, "pools": (1, 1, 1, 1)}
    return create_pvig(variant, pretrained, given, **numbers)


@register_model
def wignet_tiny(pretrained: bool = False, **kwargs: Any) -> PyramidViG:
    """WiGNet-Ti: 10.8 M parameters, 2.1 GMAC at 256×256."""
    return _create_wignet("wignet_tiny", pretrained, kwargs, channels=(48, 96, 240, 384), depths=(2, 2, 6, 2))


@register_model
def wignet_small(pretrained: bool = False, **kwargs: Any) -> PyramidViG:
    """WiGNet-S: 27.3 M parameters, 5.7 GMAC at 256×256."""
    return _create_wignet("wignet_small", pretrained, kwargs, channels=(80, 160, 400, 640), depths=(2, 2, 6, 2))


@register_model
def wignet_medium(pretrained: bool = False, **kwargs: Any) -> PyramidViG:
    """WiGNet-M: 49.6 M parameters, 11.1 GMAC at 256×256."""
    return _create_wignet("wignet_medium", pretrained, kwargs, channels=(96, 192, 384, 768), depths=(2, 2, 16, 2))


@register_model
def wignet_base(pretrained: bool = False, **kwargs: Any) -> PyramidViG:
    """WiGNet-B: 93.1 M parameters, 21.4 GMAC at 256×256."""
    return _create_wignet("wignet_base", pretrained, kwargs, channels=(128, 256, 512, 1024), depths=(2, 2, 18, 2))
