"""Means and softmax over neighborhoods, from their sums and maxima."""

import torch
from torch import Tensor

from vig_pyg.kernels.backends import Reduction
from vig_pyg.kernels.reduce import neighbor_max, neighbor_sum, targets_of_edges


def neighbor_mean(
    x: Tensor, ptr: Tensor, index: Tensor, max_degree: int | None = None, *, backend: Reduction = "auto"
) -> Tensor:
    r"""Return ``Σ_{j ∈ N(i)} x_j / |N(i)|`` per channel. Arguments and shapes as
    :func:`~vig_pyg.kernels.neighbor_max`.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    total = neighbor_sum(wide, ptr, index, max_degree, backend=backend)
    return (total / ptr.diff().clamp(min=1).unsqueeze(1)).to(x.dtype)


def neighbor_softmax(values: Tensor, ptr: Tensor, max_degree: int, *, backend: Reduction = "auto") -> Tensor:
    r"""Return ``exp v_e / Σ_{e' into i} exp v_e'`` of the edges ``e`` into every target ``i``, per channel.

    Args:
        values: One row per edge, ``[E, C]``, those into a target together.
        ptr: Where each target's edges start, ``[N + 1]``.
        max_degree: No target has more edges than this.
        backend: As for :func:`~vig_pyg.kernels.neighbor_max`.

    Shapes:
        - output: ``[E, C]``
    """
    wide, target = values.to(torch.promote_types(values.dtype, torch.float32)), targets_of_edges(ptr, len(values))
    edges = torch.arange(len(values), device=values.device)
    largest = neighbor_max(wide.detach(), ptr, edges, max_degree, backend=backend)
    powers = (wide - largest[target]).exp()
    total = neighbor_sum(powers, ptr, edges, max_degree, backend=backend)
    return (powers / total[target]).to(values.dtype)
