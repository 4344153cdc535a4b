"""Batch norm whose statistics are taken over all processes."""

from __future__ import annotations

import torch
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from vig_pyg.conv.norm_act import BATCH_NORMS
from vig_pyg.models import feature_pyramid


class SyncBatchNorm(nn.BatchNorm1d):
    """:class:`torch.nn.SyncBatchNorm` for nodes ``[N, C]`` on any device; torch's own works on GPUs only."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the nodes, normalized by mean and variance over those of all processes."""
        if not self.training:
            return super().forward(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        count = wide.new_tensor([len(x)])
        *sums, number = all_reduce(torch.cat([wide.sum(0), count])).split([x.size(1), 1])
        mean = sums[0] / number
        variance = all_reduce((wide - mean).square().sum(0)) / number
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                momentum = 0.1 if self.momentum is None else self.momentum
                self.running_mean.lerp_(mean.detach(), momentum)
                self.running_var.lerp_(variance.detach() * number / (number - 1).clamp(min=1), momentum)
        out = (wide - mean) * (variance + self.eps).rsqrt()
        out = out if self.weight is None else out * self.weight + self.bias
        return out.to(x.dtype)


def synchronize_batch_norm(model: nn.Module, device: torch.device) -> nn.Module:
    """Return a model whose batch norms take their statistics over all processes: timm's and torch's on CUDA, else ours.

    Raises:
        ValueError: away from CUDA, the model normalizes feature maps, not nodes.
    """
    if device.type == "cuda":
        return convert_sync_batchnorm(model)
    for name, layer in model.named_modules():
        if type(layer) in BATCH_NORMS:
            layer.__class__ = SyncBatchNorm
        elif isinstance(layer, feature_pyramid.BATCH_NORMS):
            raise ValueError(f"sync_batch_norm needs CUDA for {name}, a {type(layer).__name__}: leave it out")
    return model
