"""How timm builds the published models, where their weights are, and how their images are prepared."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlparse

import torch
from timm.models import build_model_with_cfg, resolve_pretrained_cfg
from torch import nn

from vig_pyg.checks import check_kind, known_device
from vig_pyg.manifest import check
from vig_pyg.models.checkpoint import checkpoint_filter_fn, read_checkpoint
from vig_pyg.registry import refuse_saved_import

SHIPPED = Path(__file__).with_name("weights")  # trained here, in half precision
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


def digits_cfg(variant: str, **kwargs: Any) -> dict[str, Any]:
    """Return timm's configuration of a variant's weights that come with the library, for handwritten digits."""
    return published_cfg(
        file=str(SHIPPED / f"{variant}.digits.safetensors"),
        num_classes=10,
        label_names=tuple("0123456789"),
        input_size=(1, 32, 32),
        crop_pct=1.0,
        mean=(0.5,),
        std=(0.5,),
        license="mit",
        **kwargs,
    )


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
    """Build a variant as timm does, on a device and in a type of number; ``out_indices`` are its ``features_only``.

    Raises:
        ConnectionError: its weights cannot be fetched; says from where, and where to place them by hand.
        FileNotFoundError: there is no file of the name that is given.
        ValueError: the file of weights is damaged, or is not what the ``SHA256SUMS`` beside it says.
    """
    check_kind("a torch.dtype or None", torch.dtype | None, dtype=dtype)
    refuse_saved_import(kwargs)
    given = {name: kwargs.get(name) for name in ("pretrained_cfg", "pretrained_cfg_overlay")}
    source = resolve_pretrained_cfg(variant, **given).to_dict() if pretrained else {}
    with nullcontext() if device is None else known_device(device), _read(variant, source, kwargs.get("cache_dir")):
        built = build_model_with_cfg(
            model,
            variant,
            pretrained,
            pretrained_filter_fn=checkpoint_filter_fn,
            feature_cfg={"out_indices": out_indices, "feature_cls": "getter"},
            **kwargs,
        )
    return built.to(dtype=dtype)


@contextmanager
def _read(variant: str, source: dict[str, Any], folder: str | Path | None) -> Iterator[None]:
    """Let timm read weights from a file or a URL, and say in a sentence why it cannot."""
    url, given = source.get("url"), source.get("file")
    if given and source.get("source") == "local-dir":
        file = Path(given) / "model.safetensors"  # or another of those that timm looks for there
    elif given:
        file = Path(given)
        if not file.is_file():
            raise FileNotFoundError(f"there is no checkpoint file {file}")
    elif url and not source.get("state_dict"):
        file = Path(folder or Path(torch.hub.get_dir()) / "checkpoints") / Path(urlparse(url).path).name
    else:
        yield
        return
    check(file)
    try:
        yield
    except (URLError, TimeoutError, ConnectionError) as error:
        raise ConnectionError(
            f"the weights of {variant} cannot be fetched from {url} ({getattr(error, 'reason', error)}): fetch "
            f"{file.name} by hand and place it at {file}, or anywhere with pretrained_cfg_overlay={{'file': PATH}}"
        ) from error
    except Exception:
        if file.is_file():
            read_checkpoint(file)  # says what is wrong with it
        raise
