"""Neighborhood reductions with torch_scatter: the neighbors are gathered, ``[E, C]``, and reduced list by list."""

from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor


def _torch_scatter() -> ModuleType:
    try:
        return import_module("torch_scatter")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "backend='torch_scatter' needs the package torch_scatter: pip install --no-build-isolation torch_scatter"
        ) from error


def extremum(x: Tensor, ptr: Tensor, index: Tensor, largest: bool, with_winner: bool) -> tuple[Tensor, Tensor]:
    """Return the extremum of every target's list and, where wanted, the row of ``x`` that it comes from (int32).

    What a target without neighbors gets for a row is any. The values must be finite: torch_scatter passes over NaN
    and over infinities.

    Shapes:
        - x ``[M, C]``, ptr ``[N + 1]``, index ``[E]``; output ``[N, C]`` twice
    """
    scatter = _torch_scatter()
    reduce = scatter.segment_max_csr if largest else scatter.segment_min_csr
    out, edge = reduce(x[index], ptr.long())
    if not with_winner:
        return out, x.new_empty(0, dtype=torch.int32)
    if index.numel() == 0:
        return out, edge.int()
    return out, index[edge.clamp_(max=index.numel() - 1)].int()


def neighbor_sum(x: Tensor, ptr: Tensor, index: Tensor) -> Tensor:
    """Return the sum of every target's list, ``[N, C]``; that of half precision is taken in float32."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return _torch_scatter().segment_sum_csr(wide[index], ptr.long()).to(x.dtype)


def neighbor_sum_backward(grad: Tensor, ptr: Tensor, index: Tensor, num_sources: int) -> Tensor:
    """Return the gradient of the sources, ``[num_sources, C]``: each gets those of all lists that it is in."""
    wide = grad.to(torch.promote_types(grad.dtype, torch.float32))
    of_edges = _torch_scatter().gather_csr(wide, ptr.long())
    return wide.new_zeros(num_sources, grad.size(1)).index_add_(0, index, of_edges).to(grad.dtype)


def sum_of_own_list(values: Tensor, ptr: Tensor) -> Tensor:
    """Return for every edge the sum of ``values [E, C]`` over the edges into its target, ``[E, C]``."""
    scatter, ptr = _torch_scatter(), ptr.long()
    return scatter.gather_csr(scatter.segment_sum_csr(values, ptr), ptr)


def softmax(values: Tensor, ptr: Tensor) -> Tensor:
    """Return the softmax of ``values [E, C]`` over the edges into each target, ``[E, C]``."""
    scatter, ptr = _torch_scatter(), ptr.long()
    powers = (values - scatter.gather_csr(scatter.segment_max_csr(values, ptr)[0], ptr)).exp_()
    return powers.div_(sum_of_own_list(powers, ptr))
