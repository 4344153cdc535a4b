r"""Batch statistics over edges from sums over nodes.

Where a value on an edge is :math:`z_{ij} = u_i + v_j`, its mean and variance over all edges follow from sums over
nodes and one neighbor sum, with :math:`d_i` the neighbors of target ``i`` and :math:`c_j` how often source ``j`` is
one:

.. math::
    E \bar z = \sum_i d_i u_i + \sum_j c_j v_j, \qquad
    E \sigma^2 = \sum_i d_i u_i^2 + \sum_j c_j v_j^2 + 2 \sum_i u_i \sum_{j \in \mathcal{N}(i)} v_j

once :math:`u` and :math:`v` are centered. So a batch norm over edges needs no tensor with a row per edge. The sums are
taken in float64: where neighbors are much closer to each other than to other nodes, their terms cancel.
"""

import torch
from torch import Tensor, nn

from vig_pyg.conv.norm_act import BATCH_NORMS, KNOWN_ACTIVATIONS
from vig_pyg.kernels import neighbor_sum


def is_quasiconvex(act: nn.Module) -> bool:
    """Return whether an activation is known to be quasiconvex: over any interval it is largest at one of the ends."""
    return type(act) in KNOWN_ACTIVATIONS


def is_affine(norm: nn.Module) -> bool:
    """Return whether a norm is, given its statistics, a scale and a shift per channel."""
    return type(norm) in (*BATCH_NORMS, nn.Identity)


def uses_batch_statistics(norm: nn.Module) -> bool:
    """Return whether a norm takes its statistics from what passes through now."""
    return isinstance(norm, nn.BatchNorm1d) and (norm.training or norm.running_mean is None)


def degrees(ptr: Tensor, index: Tensor, num_sources: int) -> tuple[Tensor, Tensor]:
    """Return how many neighbors each target has, ``[N, 1]``, and how often each source is one, ``[M, 1]`` (float64)."""
    of_target = ptr.diff().double()
    one = torch.ones((), dtype=torch.double, device=index.device)
    of_source = one.new_zeros(num_sources).index_add_(0, index, one.expand(index.numel()))
    return of_target.unsqueeze(1), of_source.unsqueeze(1)


def statistics_of_sources(z: Tensor, of_source: Tensor, num_edges: int) -> tuple[Tensor, Tensor]:
    """Return mean and variance over edges of a value ``z [M, C]`` that the source of an edge brings, in float64."""
    z = z.double()
    mean = (of_source * z).sum(0) / num_edges
    return mean, (of_source * (z - mean).square()).sum(0) / num_edges


def statistics_of_sums(
    u: Tensor, v: Tensor, ptr: Tensor, index: Tensor, of_target: Tensor, of_source: Tensor
) -> tuple[Tensor, Tensor]:
    """Return mean and variance over edges of ``u_i + v_j``, for ``u [N, C]`` and ``v [M, C]``, in float64."""
    u, v, num_edges = u.double(), v.double(), index.numel()
    mean_u, mean_v = (of_target * u).sum(0) / num_edges, (of_source * v).sum(0) / num_edges
    u, v = u - mean_u, v - mean_v
    total = (of_target * u.square()).sum(0) + (of_source * v.square()).sum(0)
    variance = (total + 2 * (u * neighbor_sum(v, ptr, index)).sum(0)) / num_edges
    return mean_u + mean_v, variance.clamp(min=0)


def scale_and_shift(
    norm: nn.Module, batch: tuple[Tensor, Tensor] | None, num_edges: int, z: Tensor
) -> tuple[Tensor, Tensor]:
    """Return ``(a, b)`` such that the norm is ``a · z + b``, and update its running statistics.

    Args:
        norm: A :class:`~torch.nn.BatchNorm1d`.
        batch: Mean and variance of the batch, where the norm uses them.
        num_edges: How many values they were taken of.
        z: What is normalized; ``a`` and ``b`` have its precision, but at least float32.
    """
    dtype = torch.promote_types(z.dtype, torch.float32)
    assert isinstance(norm, nn.BatchNorm1d)
    if batch is None:
        assert norm.running_mean is not None and norm.running_var is not None
        mean, variance = norm.running_mean, norm.running_var
    else:
        mean, variance = batch
        _update_running(norm, mean.detach(), variance.detach() * num_edges / max(num_edges - 1, 1))
    scale = (variance + norm.eps).rsqrt()
    shift = -mean * scale
    if norm.weight is not None:
        scale, shift = scale * norm.weight, shift * norm.weight + norm.bias
    return scale.to(dtype), shift.to(dtype)


@torch.no_grad()
def _update_running(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor) -> None:
    if not (norm.training and norm.track_running_stats):
        return
    assert norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    momentum = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)
    for running, new in ((norm.running_mean, mean), (norm.running_var, variance)):
        running.copy_(running.double().lerp_(new.double(), momentum))  # a variance may be beyond float32
