"""What a neighbour search accepts; everything else is refused in one sentence."""

from typing import Literal, get_args

import torch
from torch import Tensor

Backend = Literal["auto", "dense", "blockwise", "fused", "torch_cluster"]


def check_search(k: int, dilation: int, backend: str, epsilon: float = 0.0) -> None:
    """Raise a ``ValueError`` where these are no parameters of a search."""
    for name, number in (("k", k), ("dilation", dilation)):
        if not isinstance(number, int) or isinstance(number, bool):
            raise TypeError(f"{name} must be a whole number, got {number!r}")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if dilation < 1:
        raise ValueError(f"dilation must be at least 1, got {dilation}")
    if not 0 <= epsilon <= 1:
        raise ValueError(f"epsilon is a probability between 0 and 1, got {epsilon}")
    if backend not in get_args(Backend):
        raise ValueError(f"backend must be one of {', '.join(get_args(Backend))}, got {backend!r}")


def check_features(name: str, x: Tensor, position: Tensor | None) -> None:
    """Refuse features, and positions beside them, that are no finite node matrix."""
    for title, value in ((name, x), (f"the position of {name}", position)):
        if value is None:
            continue
        if not isinstance(value, Tensor):
            raise TypeError(f"{title} must be a tensor, got {type(value).__name__}")
        if not value.is_floating_point():
            raise TypeError(f"{title} must hold floating point numbers, got {value.dtype}")
        if value.dim() != 2:
            raise ValueError(f"{title} must have shape [nodes, channels], got {list(value.shape)}")
        if len(value) != len(x):
            raise ValueError(f"{title} has {len(value)} rows, but there are {len(x)} nodes")
        if not value.isfinite().all():
            row = int((~value.isfinite()).any(1).nonzero()[0])
            raise ValueError(f"{title} must be finite, but row {row} holds NaN or infinity")


def check_pair(
    x: Tensor,
    y: Tensor,
    position: Tensor | None,
    position_y: Tensor | None,
    sizes: list[int],
    sizes_y: list[int],
) -> None:
    """Refuse sources and targets that do not fit each other."""
    for title, other in (("y", y), ("position", position), ("position_y", position_y)):
        if other is not None and other.dtype != x.dtype:
            raise TypeError(f"{title} is {other.dtype} and x is {x.dtype}: they must be the same")
    if x.size(1) != y.size(1):
        raise ValueError(f"x has {x.size(1)} channels and y has {y.size(1)}: they must have the same")
    if (position is None) != (position_y is None):
        raise ValueError("position and position_y must be given together")
    if position is not None and position_y is not None and position.size(1) != position_y.size(1):
        raise ValueError(f"position is {position.size(1)} wide and position_y {position_y.size(1)}: make them equal")
    if len(sizes_y) > len(sizes):
        raise ValueError(f"y lies in {len(sizes_y)} graphs but x in {len(sizes)}: the others have no nodes to find")


def graph_sizes(name: str, batch: Tensor | None, num_nodes: int) -> list[int]:
    """Return how many nodes every graph has, after checking the batch vector."""
    if batch is None:
        return [num_nodes]
    if not isinstance(batch, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(batch).__name__}")
    if batch.is_floating_point() or batch.dtype == torch.bool:
        raise TypeError(f"{name} must hold integers, got {batch.dtype}")
    if batch.dim() != 1 or len(batch) != num_nodes:
        raise ValueError(f"{name} must have shape [{num_nodes}], one entry a node, got {list(batch.shape)}")
    if len(batch) and bool((batch.diff() < 0).any()):
        place = int((batch.diff() < 0).nonzero()[0]) + 1
        raise ValueError(f"{name} must be sorted, but falls at position {place}: sort the nodes by graph first")
    if len(batch) and int(batch[0]) < 0:
        raise ValueError(f"{name} must not be negative, got {int(batch[0])}")
    return batch.bincount().tolist()
