"""What models take: images, or graphs made of them, as floating point numbers of the weights' kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor
from torch_geometric.data import Data

from vig_pyg.blocks import ConvStem, PatchStem
from vig_pyg.checks import check_kind
from vig_pyg.graph.layout import NodeLayout, nodes_of
from vig_pyg.kernels.linear import is_autocasting
from vig_pyg.models.timm_interface import UNTRACEABLE

Inputs: TypeAlias = Tensor | Data
Made = TypeVar("Made")


def read_inputs(
    inputs: Inputs, in_chans: int, stem: ConvStem | PatchStem, weights: Tensor
) -> tuple[Tensor, NodeLayout]:
    """Return pixels or patches as nodes ``[N, C]``, and their layout.

    Args:
        inputs: Images ``[B, in_chans, H, W]`` or a PyG ``Batch``.
        in_chans: Channels of the images.
        stem: What takes the nodes.
        weights: Any of the model's.

    Raises:
        ValueError: the images have another rank or number of channels, are too small, or on another device.
        TypeError: they are not floating point numbers of the weights' type.
    """
    if isinstance(inputs, Tensor):
        if inputs.dim() != 4 or inputs.size(1) != in_chans:
            raise ValueError(f"images must have shape [B, {in_chans}, H, W], got {list(inputs.shape)}")
        _check_numbers(inputs, weights)
        x, layout = nodes_of([inputs])
    elif isinstance(inputs, torch.fx.Proxy):
        raise TypeError(UNTRACEABLE.format("torch.fx"))
    elif not isinstance(inputs, Data):
        raise TypeError(f"a model takes images [B, {in_chans}, H, W] or a PyG Batch, got {type(inputs).__name__}")
    else:
        x, layout = _nodes_of(inputs)
        _check_numbers(x, weights)
    if x.size(0) == 0:
        raise ValueError("there must be at least one image, got none")
    if x.size(1) != in_chans:
        patch_channels = getattr(stem, "patch_channels", None)
        if x.size(1) != patch_channels:
            patches = f"{patch_channels} (patches)" if patch_channels else "be patches for stem='patch'"
            raise ValueError(f"nodes of a batch must have {in_chans} channels (pixels) or {patches}, got {x.size(1)}")
        return x, layout
    for grid in layout.grids:
        stem.grid(grid.height, grid.width)  # refuses images that are too small
    return x, layout


def _nodes_of(batch: Data) -> tuple[Tensor, NodeLayout]:
    """Return the nodes of a batch and their layout."""
    if batch.x is None or "grid" not in batch:
        raise ValueError("a batch needs x and grid: make its graphs with image_data or PatchGraph")
    if not isinstance(batch.grid, Tensor) or batch.grid.dim() != 2 or batch.grid.is_meta:
        raise ValueError(f"grid must be a tensor of rows and columns, [images, 2], got {batch.grid!r}")
    layout = NodeLayout.from_sizes(batch.grid.tolist())
    check_kind("a tensor", Tensor, x=batch.x)
    if layout.num_nodes != len(batch.x):
        raise ValueError(f"the grids of the batch hold {layout.num_nodes} nodes, but x has {len(batch.x)} rows")
    return batch.x, layout


def check_images(images: Tensor | list[Tensor], weights: Tensor) -> None:
    """Refuse what is neither a batch of images nor a list of them, as floating point numbers of the weights' kind.

    Args:
        images: A tensor ``[B, 3, H, W]``, or a list of ``[3, H, W]``.
        weights: Any of the model's.

    Raises:
        TypeError: it is no tensor or list of tensors, or holds other numbers.
        ValueError: the shape or the device is wrong.
    """
    if not isinstance(images, Tensor | list | tuple):
        raise TypeError(f"images must be a tensor [B, 3, H, W] or a list of [3, H, W], got {type(images).__name__}")
    batch, rank = ([images], 4) if isinstance(images, Tensor) else (images, 3)
    for image in batch:
        if not isinstance(image, Tensor):
            raise TypeError(f"a list of images must hold tensors [3, H, W], got {type(image).__name__}")
        if image.dim() != rank or image.size(-3) != 3 or image.numel() == 0:
            wanted = "[B, 3, H, W]" if rank == 4 else "[3, H, W] in a list"
            raise ValueError(f"images must have shape {wanted}, got {list(image.shape)}")
        _check_numbers(image, weights)


def check_targets(targets: Any, images: Sequence[Tensor], classes: int, masks: bool) -> None:
    """Refuse what does not say which objects are in every image.

    Raises:
        TypeError: they are no list of dictionaries of tensors.
        ValueError: there is another number of them, or boxes, labels or masks do not fit; names the first.
    """
    check_kind("a list of dictionaries in training, one for every image", list | tuple, targets=targets)
    if len(targets) != len(images):
        raise ValueError(f"there must be a target for every image, got {len(targets)} for {len(images)} images")
    for target, image in zip(targets, images, strict=True):
        check_kind("a dictionary", Mapping, target=target)
        for name in ("boxes", "labels", "masks")[: 2 + masks]:
            check_kind("a tensor", Tensor, **{f"{name!r} of a target": target.get(name)})
            if target[name].device != image.device:
                raise ValueError(f"{name!r} is on {target[name].device}, but its image on {image.device}")
        boxes, labels = target["boxes"], target["labels"]
        if boxes.dim() != 2 or boxes.size(1) != 4 or not boxes.is_floating_point():
            raise ValueError(f"boxes must be floats [N, 4], got {boxes.dtype} {list(boxes.shape)}")
        if not bool((boxes.isfinite().all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)).all()):
            raise ValueError("boxes must be finite (left, top, right, bottom) with right > left and bottom > top")
        if labels.shape != boxes.shape[:1] or labels.dtype not in (torch.int64, torch.int32):
            raise ValueError(f"labels must be whole numbers [{len(boxes)}], got {labels.dtype} {list(labels.shape)}")
        if len(labels) and not bool(((labels >= 0) & (labels < classes)).all()):
            raise ValueError(f"labels must be between 0 and {classes - 1}, got {labels.unique().tolist()}")
        if masks and target["masks"].shape != (len(boxes), *image.shape[1:]):
            wanted = [len(boxes), *image.shape[1:]]
            raise ValueError(f"masks must have shape {wanted}, got {list(target['masks'].shape)}")


def by_size(model: Callable[[list[Tensor]], Iterable[Made]], images: list[Tensor]) -> list[Made]:
    """Return what a model makes of images ``[C, H, W]``, of which those of one size run together.

    A smaller image in a batch would be padded, and its padding's nodes would be neighbors.
    """
    made: dict[int, Made] = {}
    for size in dict.fromkeys(image.shape for image in images):
        chosen = [index for index, image in enumerate(images) if image.shape == size]
        made |= zip(chosen, model([images[index] for index in chosen]), strict=True)
    return [made[index] for index in range(len(images))]


def _check_numbers(images: Tensor, weights: Tensor) -> None:
    if not images.is_floating_point():
        raise TypeError(f"images must hold floating point numbers, got {images.dtype}: divide bytes by 255 first")
    if images.layout != torch.strided:
        raise TypeError(f"images must be dense tensors, got {images.layout}")
    if images.dtype != weights.dtype and not is_autocasting(images.device.type):
        raise TypeError(f"images must be {weights.dtype} as the model's weights are, got {images.dtype}")
    if images.device != weights.device:
        raise ValueError(f"images must be on {weights.device} as the model is, got {images.device}")
