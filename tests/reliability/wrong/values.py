"""What a call is, and values that are wrong wherever something of a kind is wanted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric import EdgeIndex


class Call(NamedTuple):
    """A call that is right, and for every argument what is wrong in its place."""

    name: str
    function: Callable[..., Any]
    right: Mapping[str, Any]
    wrong: Mapping[str, Sequence[Any]]


NO_COUNT = (0, -1, 2.5, "3", None, True, [3])
NO_FLAG = (None, 1, "yes")
NO_SHARE = (-0.1, 1.1, math.nan, "half", None, True)
NO_NORM = ("bacth", 3, True, nn.LayerNorm(8), lambda channels: channels)
NO_ACT = ("gelo", 3, True, nn.GELU(), lambda: "gelu")
NO_CONV = ("edgy", "nowhere:Conv", "math:Conv", ":", None, 3, nn.Linear(8, 8))
NO_GRAPH = ("near", "nowhere:Graph", "math:Graph", ":", None, 3)
NO_PATH = (None, 3, "nowhere/model.safetensors", "nowhere")
NO_IMAGE_SIZE = (0, -32, 2, 3.5, "32", None, True, (32,), (32, 32, 32), (32, 0), ("a", "b"))


def nodes(count: int = 16, channels: int = 8, seed: int = 0) -> Tensor:
    """Return features of so many nodes."""
    return torch.randn(count, channels, generator=torch.Generator().manual_seed(seed))


def no_nodes(right: Tensor) -> list[Any]:
    """Return what is no node matrix where ``right`` is one."""
    kinds = (torch.int64, torch.uint8, torch.bool, torch.complex64)
    shaped = right[0], right[None], right[:, :-1], right[:, :0]
    return [None, "x", right.tolist(), right.numpy(), *shaped, *(right.to(kind) for kind in kinds), right.to("meta")]


def no_features(right: Tensor) -> list[Any]:
    """Return what is no node matrix for weights: its type has to be theirs, too."""
    return [*no_nodes(right), right.double(), right.half(), right.to_sparse()]


def no_edges(right: Tensor, count: int, weighed: bool = True) -> list[Any]:
    """Return what is no adjacency between ``count`` nodes; with values on edges for what takes no weights."""
    outside = right.clone()
    outside[0, 0] = count
    square = torch.sparse_coo_tensor(
        right, torch.ones(right.size(1)), (count, count), check_invariants=False
    ).coalesce()
    kinds = (torch.uint8, torch.int16, torch.float32, torch.bool, torch.complex64)
    shaped = right[0], right[None], right[:1], torch.cat([right, right[:1]]), right.T
    values = () if weighed else (2 * square, 2 * square.to_sparse_csr())
    sparse = *values, square.to_dense()[:, :-1].to_sparse_csr()
    falling = EdgeIndex(right.flip(1), sparse_size=(count, count), sort_order="col")
    other = [None, "edges", right.tolist(), right.numpy(), right.to("meta"), outside, outside.flip(0), -1 - right]
    return [*other, *shaped, *sparse, falling, *(right.to(kind) for kind in kinds)]
