"""Weights in the layouts of others: what :mod:`vig_pyg.models.checkpoint` reads, written."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vig_pyg.checks import check_kind
from vig_pyg.files import write_whole
from vig_pyg.graph.knn import KNNGraph
from vig_pyg.models.checkpoint import load_checkpoint
from vig_pyg.models.pyramid_vig import PyramidViG
from vig_pyg.models.vig import ViG

# Our names and the published ones. Convolutions and norms are numbered in the latter: .0 the map, .1 the norm.
RELEASED: list = [
    (r"^stem\.(\d+)\.conv\.", lambda m: f"stem.convs.{3 * int(m[1])}."),
    (r"^stem\.(\d+)\.norm\.", lambda m: f"stem.convs.{3 * int(m[1]) + 1}."),
    (r"^blocks\.(\d+)\.conv\.", r"backbone.\1.conv.0."),
    (r"^blocks\.(\d+)\.norm\.", r"backbone.\1.conv.1."),
    (r"^blocks\.(\d+)\.grapher\.conv\.", r"backbone.\1.0.graph_conv.gconv."),
    (r"^blocks\.(\d+)\.grapher\.", r"backbone.\1.0."),
    (r"^blocks\.(\d+)\.ffn\.", r"backbone.\1.1."),
    (r"^head\.fc1\.linear\.", "prediction.0."),
    (r"^head\.fc1\.norm\.", "prediction.1."),
    (r"^head\.fc2\.", "prediction.4."),
    (r"\.linear\.", ".0."),
    (r"\.norm\.", ".1."),
]
HEAD = {"0": "head.fc1.", "1": "head.bn.", "4": "head.fc2."}  # of mmpretrain


def timm_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights as timm and this library keep them."""
    return model.state_dict()


def release_state(model: nn.Module) -> dict[str, Tensor]:
    r"""Return the weights as the authors' release names and shapes them.

    Linear maps are convolutions of 1×1 there, and each Grapher of a pyramid holds its relative position,
    :math:`-2\,e_i^\top e_j / D`, which the release adds to squared distances.
    """
    state = {_released(n): w[:, :, None, None] if w.dim() == 2 else w for n, w in model.state_dict().items()}
    for name, part in model.named_modules():
        if isinstance(part, KNNGraph) and part.position is not None and part.position.table is not None:
            place = _released(f"{name.removesuffix('graph')}fc1.linear.weight").removesuffix("fc1.0.weight")
            state[f"{place}relative_pos"] = -2 * part.position.table[None]
    return state


def mmpretrain_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights as mmpretrain's converter writes them: what opens a stage is not named, the head is linear."""
    released = {name: w for name, w in release_state(model).items() if not name.endswith("relative_pos")}
    openings = sorted({int(m[1]) for name in released if (m := re.match(r"backbone\.(\d+)\.conv\.", name))})
    state = {}
    for name, weight in released.items():
        area, _, rest = name.partition(".")
        if area == "prediction":
            place, _, kind = rest.partition(".")
            state[HEAD[place] + kind] = weight.flatten(1) if weight.dim() == 4 else weight
        else:
            state[_staged(name, area, rest, openings)] = weight
    return state


def _released(name: str) -> str:
    for pattern, replacement in RELEASED:
        name = re.sub(pattern, replacement, name)
    return name


def _staged(name: str, area: str, rest: str, openings: list[int]) -> str:
    """Return mmpretrain's name of a weight below the head; the blocks in ``openings`` each open a stage."""
    if area == "pos_embed":
        return "backbone.pos_embed"
    if area == "stem":
        return name.replace("stem.convs", "backbone.stem")
    if not openings:
        return f"backbone.blocks.{rest}"
    number, _, rest = rest.partition(".")
    first = max((opening for opening in openings if opening <= int(number)), default=0)
    stage = sum(opening <= int(number) for opening in openings)
    return f"backbone.stages.{stage}.{int(number) - first}.{rest.removeprefix('conv.')}"


LAYOUTS: dict[str, Callable[[nn.Module], dict[str, Tensor]]] = {
    "timm": timm_state,
    "release": release_state,
    "mmpretrain": mmpretrain_state,
}


def write_layout(model: nn.Module, layout: str, path: str | Path, images: Tensor) -> None:
    """Write a model's weights in a layout, and read them again to see that they give the same outputs.

    Args:
        model: A :class:`~vig_pyg.ViG` or :class:`~vig_pyg.PyramidViG`, in evaluation mode; for ``timm`` any model.
        layout: ``"timm"``, ``"release"`` or ``"mmpretrain"``.
        path: The file, written as safetensors where it ends so, else by :func:`torch.save`.
        images: What the outputs are compared on. The model's weights are read from the file again.

    Raises:
        ValueError: there is no such layout, the layout has no names for such a model, or the outputs differ.
        OSError: the file cannot be written.
    """
    check_kind("a model", nn.Module, model=model)
    if layout not in LAYOUTS:
        raise ValueError(f"there is no layout {layout!r}: it must be one of {', '.join(LAYOUTS)}")
    if layout != "timm" and not isinstance(model, ViG | PyramidViG):
        raise ValueError(f"the layout {layout} names the weights of ViG and Pyramid ViG, not of {type(model).__name__}")
    file = Path(path)
    state = {name: weight.detach().cpu().contiguous() for name, weight in LAYOUTS[layout](model).items()}
    if file.suffix == ".safetensors":
        write_whole(file, lambda partial: save_file(state, partial, metadata={"format": "pt"}))
    else:
        content = {"state_dict": state} if layout == "mmpretrain" else state
        write_whole(file, lambda partial: torch.save(content, partial))
    with torch.no_grad():
        before = model.eval()(images)
        after = load_checkpoint(_emptied(model), file)(images)
    if not torch.allclose(before, after, rtol=0, atol=0, equal_nan=True):
        raise ValueError(f"{file} was written, but what is read from it gives other outputs: do not use it")


def _emptied(model: nn.Module) -> nn.Module:
    """Return a model like another, in evaluation mode, without its weights."""
    other = copy.deepcopy(model).eval()
    with torch.no_grad():
        for weight in other.state_dict().values():
            weight.fill_(1)
    return other
