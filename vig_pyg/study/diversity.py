"""Over-smoothing: how different the nodes of an image are, layer by layer (paper, Eq. 9 and Figure 3)."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_geometric.data import Data

from vig_pyg.checks import check_kind, check_shares
from vig_pyg.models.vision_gnn import VisionGNN

Matrix = NDArray[np.float64]


def diversity(x: Tensor | Matrix, tolerance: float = 1e-3) -> float:
    r"""Return the feature diversity of nodes (paper, Eq. 9).

    .. math:: \gamma(X) = \min_x \lVert X - 1 x^T \rVert_{1,\infty}, \qquad
        \lVert R \rVert_{1,\infty} = \sqrt{\lVert R \rVert_1 \lVert R \rVert_\infty}

    with the norm of Dong et al. (*Attention is not all you need*, 2021), from whom the paper takes the measure: the
    largest column sum of absolute values times the largest row sum, under the root.

    The product is not convex in x; its minimum is found all the same. Where the column sums may be α at most, every
    entry of x has an interval to itself, and the least row sum β(α) is a linear program. As β falls with α, no x with a
    column sum in [α₁, α₂] does better than α₁·β(α₂): intervals are halved until none can hold a better one.

    Args:
        x: ``[N, D]``, a row per node.
        tolerance: The result is reached by some x, and is above the minimum by at most this share of it.

    Raises:
        ValueError: ``x`` is no matrix of finite numbers.
    """
    check_kind("a tensor or an array of real numbers", Tensor | np.ndarray, x=x)
    check_shares(tolerance=tolerance)
    if tolerance == 0:
        raise ValueError("tolerance must be above 0, got 0: the minimum is found up to a share of it")
    if not np.isrealobj(x) if isinstance(x, np.ndarray) else x.is_complex() or x.is_meta:
        raise ValueError("diversity is defined for a matrix [N, D] of finite numbers, got complex ones or no values")
    rows = np.asarray(x.detach().cpu() if isinstance(x, Tensor) else x, dtype=np.float64)
    if rows.ndim != 2 or rows.size == 0 or not np.isfinite(rows).all():
        raise ValueError(f"diversity is defined for a matrix [N, D] of finite numbers, got shape {list(rows.shape)}")
    rows = rows - np.median(rows, axis=0)
    scale = float(np.abs(rows).max())
    if scale == 0:
        return 0.0
    return scale * float(np.sqrt(_least_product(rows / scale, (1 + tolerance) ** 2)))


@torch.no_grad()
def layer_diversity(model: nn.Module, images: Tensor | Data, layers: Sequence[nn.Module] | None = None) -> Tensor:
    """Return the diversity of the nodes of every image after every layer, ``[layers, B]``.

    Args:
        model: Any model; it is put into evaluation mode.
        images: ``[B, C, H, W]``, or a batch of graphs for a model on nodes.
        layers: Modules of the model that return nodes ``[B, N, D]`` or maps ``[B, D, H, W]``; None for the blocks of
            a model of this library.

    Raises:
        ValueError: a layer returns something else, or ``layers`` is missing for a model of others.
    """
    check_kind("a model", nn.Module, model=model)
    check_kind("a tensor or a batch of graphs", Tensor | Data, images=images)
    model.eval()
    nodes: list[list[Tensor]] = []
    if layers is None:
        if not isinstance(model, VisionGNN):
            raise ValueError(f"{type(model).__name__} is no model of this library: name the layers to measure")
        _, graphs = model.forward_graphs(images)
        nodes = [[graph.x for graph in batch.to_data_list()] for batch in graphs]
    else:
        check_kind("a list of modules", list | tuple, layers=layers)
        inside = set(model.modules())
        for layer in layers:
            check_kind("a module", nn.Module, **{"every layer": layer})
            if layer not in inside:
                raise ValueError(f"{type(layer).__name__} is no layer of this {type(model).__name__}")
        if not layers:
            raise ValueError("layers must name at least one module, got none")
        with ExitStack() as hooks:
            for layer in layers:
                hooks.enter_context(layer.register_forward_hook(lambda *call: nodes.append(_nodes(call[2]))))
            model(images)
    return torch.tensor([[diversity(x) for x in batch] for batch in nodes], dtype=torch.float64)


def _nodes(out: object) -> list[Tensor]:
    if isinstance(out, Tensor) and out.dim() == 4:
        return list(out.flatten(2).transpose(1, 2))
    if isinstance(out, Tensor) and out.dim() == 3:
        return list(out)
    shape = list(out.shape) if isinstance(out, Tensor) else type(out).__name__
    raise ValueError(f"a layer must return nodes [B, N, D] or maps [B, D, H, W], got {shape}")


def _least_product(rows: Matrix, factor: float) -> float:
    """Return the least product of largest column sum and largest row sum of ``rows - x``, up to a factor."""
    low, high = float(np.abs(rows).sum(0).max()), np.inf  # at the medians, which are 0
    at_low, best = _least_row_sum(rows, low)
    at_high, product = _least_row_sum(rows, high)
    best, high = min(best, product), product / at_high
    intervals = [(low * at_high, low, at_low, high, at_high)]
    while intervals and best > factor * intervals[0][0]:
        _, low, at_low, high, at_high = heapq.heappop(intervals)
        middle = float(np.sqrt(low * high))
        at_middle, product = _least_row_sum(rows, middle)
        best = min(best, product)
        heapq.heappush(intervals, (low * at_middle, low, at_low, middle, at_middle))
        heapq.heappush(intervals, (middle * at_high, middle, at_middle, high, at_high))
    return best


def _least_row_sum(rows: Matrix, column_sum: float) -> tuple[float, float]:
    """Return the least largest row sum of ``rows - x`` where column sums are bounded, and its x's product of sums.

    Few rows decide: those that come out too long join the program until none does.
    """
    lower, upper = _bounds(rows, column_sum)
    chosen = [int(np.abs(rows).sum(1).argmax())]
    while True:
        x, least = _solve(rows[chosen], lower, upper)
        sums = np.abs(rows - x)
        longest = np.argsort(sums.sum(1))[::-1][:8].tolist()
        too_long = [row for row in longest if sums[row].sum() > least * (1 + 1e-7) and row not in chosen]
        if not too_long:
            return least, float(sums.sum(0).max() * sums.sum(1).max())
        chosen += too_long


def _bounds(rows: Matrix, column_sum: float) -> tuple[Matrix, Matrix]:
    """Return the interval of every entry of x in which its column of ``rows - x`` sums to at most ``column_sum``."""
    ordered = np.sort(rows, axis=0)
    if np.isinf(column_sum):
        return ordered[0], ordered[-1]  # outside, every row sum grows
    lower, upper = np.empty_like(ordered[0]), np.empty_like(ordered[0])
    for d, column in enumerate(ordered.T):
        sums = np.abs(column[:, None] - column).sum(1)  # convex: least at the median
        turn = int(sums.argmin())
        lower[d] = np.interp(-column_sum, -sums[: turn + 1], column[: turn + 1])
        upper[d] = np.interp(column_sum, sums[turn:], column[turn:])
    return lower, upper


def _solve(rows: Matrix, lower: Matrix, upper: Matrix) -> tuple[Matrix, float]:
    """Return the x between bounds with the least largest row sum of ``rows - x``, and that sum."""
    from scipy.optimize import linprog
    from scipy.sparse import block_array, eye_array, kron

    count, width = rows.shape
    parts = eye_array(count * width)  # a variable for the absolute value of every entry
    copies = kron(np.ones((count, 1)), eye_array(width))
    sums = kron(eye_array(count), np.ones((1, width)))
    left = block_array([[copies, -parts, None], [-copies, -parts, None], [None, sums, -np.ones((count, 1))]])
    right = np.concatenate([rows.ravel(), -rows.ravel(), np.zeros(count)])
    cost = np.zeros(left.shape[1])
    cost[-1] = 1
    positive = np.tile([0, np.inf], (count * width + 1, 1))
    found = linprog(cost, left.tocsr(), right, bounds=np.concatenate([np.stack([lower, upper], 1), positive]))
    if not found.success:
        raise ArithmeticError(f"the linear program of the diversity was not solved: {found.message}")
    return found.x[:width], float(found.fun)
