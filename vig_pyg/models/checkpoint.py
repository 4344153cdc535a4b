"""Weights from files: our own layout, the published one and mmpretrain's, told apart by their names."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from vig_pyg.checks import check_kind
from vig_pyg.manifest import check

# Published names and ours. Convolutions and norms are numbered in the former: .0 the map, .1 the norm.
PUBLISHED = [
    (r"^stem\.convs\.(\d+)\.", lambda m: f"stem.{int(m[1]) // 3}.{'norm' if int(m[1]) % 3 else 'conv'}."),
    (r"^backbone\.(\d+)\.conv\.0\.", r"blocks.\1.conv."),
    (r"^backbone\.(\d+)\.conv\.1\.", r"blocks.\1.norm."),
    (r"^backbone\.(\d+)\.0\.", r"blocks.\1.grapher."),
    (r"^backbone\.(\d+)\.1\.", r"blocks.\1.ffn."),
    (r"^backbone\.", "blocks."),
    (r"\.graph_conv\.gconv\.", ".conv."),
    (r"\.(fc\d|nn\d?)\.0\.", r".\1.linear."),
    (r"\.(fc\d|nn\d?)\.1\.", r".\1.norm."),
    (r"^prediction\.0\.", "head.fc1.linear."),
    (r"^prediction\.1\.", "head.fc1.norm."),
    (r"^prediction\.4\.", "head.fc2."),
]

# Buffers that follow from the sizes of maps and windows.
FIXED = ("relative_pos", "attn_mask", "adj_mask")

# mmpretrain's names and the published ones. Stages of a pyramid are numbered one by one there.
MMPRETRAIN = [
    (r"^backbone\.pos_embed$", "pos_embed"),
    (r"^backbone\.stem\.(convs\.)?", "stem.convs."),
    (r"^backbone\.blocks\.", "backbone."),
    (r"^head\.fc1\.", "prediction.0."),
    (r"^head\.bn\.", "prediction.1."),
    (r"^head\.fc2\.", "prediction.4."),
]

ATTENTION = {"q": "query", "k": "key", "v": "value"}
# Those of MobileViG and its successors, after their blocks were numbered in one row, and the published ones above.
MOBILE = [
    (r"^stem\.stem\.(\d+)\.", lambda m: f"stem.{int(m[1]) // 3}.{'norm' if int(m[1]) % 3 else 'conv'}."),
    (r"^(backbone\.\d+)\.(?:dws|mlp)\.(?:pw1|fc1)\.", r"\1.fc1.0."),
    (r"^(backbone\.\d+)\.(?:dws|mlp)\.norm1\.", r"\1.fc1.1."),
    (r"^(backbone\.\d+)\.(?:dws\.dw|mlp\.mid)\.", r"\1.depthwise.conv."),
    (r"^(backbone\.\d+)\.(?:dws\.norm2|mlp\.mid_norm)\.", r"\1.depthwise.norm."),
    (r"^(backbone\.\d+)\.(?:dws\.pw2|mlp\.fc2)\.", r"\1.fc2.0."),
    (r"^(backbone\.\d+)\.(?:dws\.norm3|mlp\.norm2)\.", r"\1.fc2.1."),
    (r"^(backbone\.\d+)\.mixer\.cpe\.pe\.", r"\1.0.cpe.conv.conv."),
    (r"^(backbone\.\d+)\.mixer\.graph_conv\.temperature$", r"\1.0.graph.temperature"),
    (r"^(backbone\.\d+)\.mixer\.", r"\1.0."),
    (r"\.([qkv])_(conv|norm)\.", lambda m: f".{ATTENTION[m[1]]}{'_norm' if m[2] == 'norm' else ''}."),
    (r"^(backbone\.\d+)\.graph_layer_scale_1$", r"\1.0.layer_scale.gamma"),
    (r"^(backbone\.\d+)\.graph_layer_scale_2$", r"\1.1.layer_scale.gamma"),
    (r"^(backbone\.\d+)\.layer_scale_\d$", r"\1.layer_scale.gamma"),
    (r"^(backbone\.\d+)\.ffn\.([0134])\.", lambda m: f"{m[1]}.1.fc{1 + int(m[2]) // 3}.{int(m[2]) % 3}."),
    (r"\.graph_conv\.", ".conv."),
    (r"^prediction\.1\.", "prediction.0."),
    (r"^prediction\.2\.", "prediction.1."),
    (r"^head\.", "prediction.4."),
    (r"^dist_head\.", "head.fc2_dist."),
]


def load_checkpoint(model: nn.Module, checkpoint: str | Path | Mapping[str, Any]) -> nn.Module:
    """Load weights into a model of ours and return it.

    Understood are our own layout, the published one and mmpretrain's, also under ``model`` or ``state_dict`` and
    prefixed by ``module.``, in ``.pth``, ``.pth.tar`` and ``.safetensors`` files. Fixed relative positions and masks
    of windows are left out, absolute positions resized to the model's grid. With another number of classes the model's
    classifier stays new, and a warning says so; a model without a head takes the rest. Nothing is loaded unless
    everything fits.

    Args:
        model: A :class:`~vig_pyg.ViG` or :class:`~vig_pyg.PyramidViG`.
        checkpoint: A file, or what it holds. Files are read with ``weights_only=True``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no checkpoint or cut off, or holds the weights of another model.
    """
    check_kind("a model", nn.Module, model=model)
    check_kind("a path or named weights", str | Path | Mapping, checkpoint=checkpoint)
    source = "the state dict" if isinstance(checkpoint, Mapping) else str(checkpoint)
    content = checkpoint if isinstance(checkpoint, Mapping) else read_checkpoint(checkpoint)
    weights = checkpoint_filter_fn(content, model)
    if not weights:
        raise ValueError(f"{source} is no checkpoint: it holds no weights under names")
    own = model.state_dict()
    classifier = [name for name in own if name.startswith(("head.fc2.", "head.fc2_dist."))]
    if classifier and "head.fc2.weight" in weights:
        theirs, ours = weights["head.fc2.weight"].shape[0], own["head.fc2.weight"].shape[0]
        if theirs != ours:
            warnings.warn(f"{source} has {theirs} classes and the model {ours}: its classifier stays new", stacklevel=2)
            weights.update({name: own[name] for name in classifier})
    elif not classifier:
        left_out = "head.fc2" if any(name.startswith("head.") for name in own) else "head."
        weights = {name: w for name, w in weights.items() if not name.startswith(left_out)}
    both = [name for name in own if name in weights]
    wrong = {
        "are missing": [name for name in own if name not in weights and not name.endswith("num_batches_tracked")],
        "are unknown": [name for name in weights if name not in own],
        "have another shape": [name for name in both if weights[name].shape != own[name].shape],
        "hold no values, or no real ones": [n for n in both if weights[n].is_complex() or weights[n].is_meta],
    }
    reasons = [f"{len(names)} weights {what}, {names[0]!r} first" for what, names in wrong.items() if names]
    if reasons:
        raise ValueError(f"{source} is not of this {type(model).__name__}: {'; '.join(reasons)}")
    model.load_state_dict(weights, strict=False)
    return model


def read_checkpoint(path: str | Path) -> Mapping[str, Any]:
    """Return what a checkpoint file holds, read safely.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, is cut off, is not what the ``SHA256SUMS`` next to it says, or holds objects
            that are not safe to load.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint file {path}")
    check(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can make the readers raise anything
        kind = type(error).__name__
        raise ValueError(f"{path} is no checkpoint, is cut off, or holds more than weights ({kind})") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} is no checkpoint: it holds a {type(content).__name__}, not named weights")
    return content


def checkpoint_filter_fn(content: Mapping[str, Any], model: nn.Module) -> dict[str, Tensor]:
    """Return the weights of a checkpoint in our layout, fitted to the model's shapes where that loses nothing."""
    weights = _unwrap(content)
    if any(name.startswith(("backbone.blocks.", "backbone.stages.", "backbone.stem.")) for name in weights):
        weights = {_rename(_flat_stages(name, weights), MMPRETRAIN): w for name, w in weights.items()}
    if any(name.startswith("stem.stem.") for name in weights):
        weights = _published_mobile(weights)
    if any(name.startswith(("stem.convs.", "backbone.", "prediction.")) for name in weights):
        weights = {_rename(name, PUBLISHED): w for name, w in weights.items()}
    own = model.state_dict()
    return {name: _fit(w, own.get(name)) for name, w in weights.items() if not name.endswith(FIXED)}


def _unwrap(content: Mapping[str, Any]) -> dict[str, Tensor]:
    for key in ("state_dict", "model"):
        if isinstance(content.get(key), Mapping):
            content = content[key]
    named = {str(name).removeprefix("module."): w for name, w in content.items()}
    return {name: w for name, w in named.items() if isinstance(w, Tensor)}


def _rename(name: str, rules: list) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _flat_stages(name: str, weights: Mapping[str, Tensor]) -> str:
    """Number the blocks of mmpretrain's stages in one row; what opens a later stage is a downsampling."""
    match = re.match(r"backbone\.stages\.(\d+)\.(\d+)\.(.*)", name)
    if match is None:
        return name
    stage, place, rest = int(match[1]), int(match[2]), match[3]
    known = {m.groups() for m in (re.match(r"backbone\.stages\.(\d+)\.(\d+)\.", n) for n in weights) if m}
    before = sum(int(s) < stage for s, _ in known)
    if stage > 0 and place == 0:
        rest = f"conv.{rest.removeprefix('conv.')}"
    return f"backbone.{before + place}.{rest}"


def _published_mobile(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of MobileViG or a successor in the published layout of ViG.

    Blocks are numbered in one row, and what an update maps, nodes before their neighborhoods, is interleaved.
    """
    staged = not any(name.startswith("local_backbone.") for name in weights)
    pattern = re.compile(r"backbone\.(\d+)\.(\d+)\." if staged else r"(local_)?backbone\.(\d+)\.")
    matches = [match for name in weights if (match := pattern.match(name))]
    places = {match[0]: (int(match[1]) if staged else not match[1], int(match[2])) for match in matches}
    number = {prefix: place for place, prefix in enumerate(sorted(places, key=lambda prefix: places[prefix]))}
    graphs = {prefix for prefix in places if f"{prefix}mixer.fc1.0.weight" in weights}
    renamed = {}
    for name, weight in weights.items():
        match = pattern.match(name)
        if match:
            scale = "graph_" if match[0] in graphs and "layer_scale_" in name else ""
            name = f"backbone.{number[match[0]]}.{scale}{name[match.end() :]}"
        if name.endswith("graph_conv.nn.0.weight"):
            weight = weight.view(len(weight), 2, -1).transpose(1, 2).flatten(1)
        renamed[_rename(name, MOBILE)] = weight.flatten() if "layer_scale" in name else weight
    return renamed


def _fit(weight: Tensor, own: Tensor | None) -> Tensor:
    """Drop the empty axes of 1×1 convolutions, and resize positions to another grid."""
    if own is None or weight.shape == own.shape:
        return weight
    if weight.dim() == 4 and own.dim() == 2 and weight.shape[2:] == (1, 1):
        return weight.flatten(1)
    if weight.dim() == own.dim() == 4 and weight.shape[:2] == own.shape[:2] and weight.size(0) == 1:
        return F.interpolate(weight, size=own.shape[2:], mode="bicubic", antialias=True)
    return weight
