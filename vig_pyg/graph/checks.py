"""What a neighbor search accepts; everything else is refused in one sentence."""

from typing import Literal, get_args

import torch
from torch import Tensor

from vig_pyg.checks import check_kind, check_shares, check_whole

Backend = Literal["auto", "dense", "blockwise", "fused", "kdtree", "torch_cluster"]
Flow = Literal["source_to_target", "target_to_source"]

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
MOST_GRAPHS = 1 << 24


def check_search(k: int, dilation: int, backend: str, epsilon: float = 0.0) -> None:
    """Raise a ``ValueError`` or ``TypeError`` where these are not parameters of a search."""
    check_whole(k=k, dilation=dilation)
    check_shares(epsilon=epsilon)
    if backend not in get_args(Backend):
        raise ValueError(f"backend must be one of {', '.join(get_args(Backend))}, got {backend!r}")


def check_batched(flow: str, num_workers: int, batch_size: int | None) -> None:
    """Refuse what are not PyG's parameters of a graph over a batch."""
    if flow not in get_args(Flow):
        raise ValueError(f"flow must be one of {', '.join(get_args(Flow))}, got {flow!r}")
    check_whole(num_workers=num_workers)
    if batch_size is not None:
        check_whole(batch_size=batch_size)


def check_radius(r: float) -> None:
    """Refuse what is not a radius."""
    check_kind("a number", int | float, r=r)
    if isinstance(r, bool) or not r >= 0:
        raise ValueError(f"r must be a number of at least 0, got {r}")


def check_matrix(title: str, value: Tensor) -> None:
    """Refuse what is not a node matrix, without a look at its values."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{title} must be a tensor, got {type(value).__name__}")
    if value.dtype not in FLOATS:
        raise TypeError(f"{title} must hold floating point numbers, got {value.dtype}")
    if value.layout != torch.strided:
        raise TypeError(f"{title} must be a dense tensor, got {value.layout}")
    if value.dim() != 2:
        raise ValueError(f"{title} must have shape [nodes, channels], got {list(value.shape)}")
    if value.size(1) == 0:
        raise ValueError(f"{title} must have at least one channel, got {list(value.shape)}")


def check_features(name: str, x: Tensor, position: Tensor | None) -> None:
    """Refuse features, and positions beside them, that are not a finite node matrix."""
    titled = {name: x} if position is None else {name: x, f"the position of {name}": position}
    for title, value in titled.items():
        check_matrix(title, value)
        if value.is_meta:
            raise ValueError(f"{title} is on the meta device, which holds no values: move it to another")
        if value.device != x.device:
            raise ValueError(f"{title} is on {value.device} and {name} on {x.device}: move them together")
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
    if x.device != y.device:
        raise ValueError(f"x is on {x.device} and y on {y.device}: move them together")
    if x.size(1) != y.size(1):
        raise ValueError(f"x has {x.size(1)} channels and y has {y.size(1)}: they must have the same")
    if (position is None) != (position_y is None):
        raise ValueError("position and position_y must be given together")
    if position is not None and position_y is not None and position.size(1) != position_y.size(1):
        raise ValueError(f"position is {position.size(1)} wide and position_y {position_y.size(1)}: make them equal")
    if len(sizes_y) > len(sizes):
        raise ValueError(f"y is in {len(sizes_y)} graphs but x in {len(sizes)}: the others have no nodes to find")


def graph_sizes(name: str, batch: Tensor | None, x: Tensor, batch_size: int | None = None) -> list[int]:
    """Return how many of the nodes ``x`` every graph has, after checking the batch vector.

    Without ``batch_size``, the last graph that has nodes is taken for the last one.
    """
    if batch is None:
        if batch_size not in (None, 1):
            raise ValueError(f"batch_size={batch_size} needs {name}: without it there is one graph")
        return [len(x)]
    if not isinstance(batch, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(batch).__name__}")
    if batch.dtype not in WHOLE:
        raise TypeError(f"{name} must hold integers, got {batch.dtype}")
    if batch.layout != torch.strided:
        raise TypeError(f"{name} must be a dense tensor, got {batch.layout}")
    if batch.dim() != 1 or len(batch) != len(x):
        raise ValueError(f"{name} must have shape [{len(x)}], one entry a node, got {list(batch.shape)}")
    if batch.device != x.device:
        raise ValueError(f"{name} is on {batch.device} and the nodes on {x.device}: move them together")
    if batch.is_meta:
        raise ValueError(f"{name} is on the meta device, which holds no values: move it to another")
    batch = batch.long()  # differences of uint8 cannot be negative
    if len(batch) and bool((batch.diff() < 0).any()):
        place = int((batch.diff() < 0).nonzero()[0]) + 1
        raise ValueError(f"{name} must be sorted, but falls at position {place}: sort the nodes by graph first")
    if len(batch) and int(batch[0]) < 0:
        raise ValueError(f"{name} must not be negative, got {int(batch[0])}")
    limit = min(batch_size or MOST_GRAPHS, MOST_GRAPHS)
    if len(batch) and int(batch[-1]) >= limit:
        raise ValueError(f"{name} must number the graphs from 0 on, below {limit}, got {int(batch[-1])}")
    return batch.bincount(minlength=min(batch_size or 1, MOST_GRAPHS)).tolist()
