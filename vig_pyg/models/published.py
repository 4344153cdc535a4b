"""Where the published weights lie, and how their images are prepared."""

from typing import Any

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
