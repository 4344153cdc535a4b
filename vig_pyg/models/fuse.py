"""Models made ready for inference: batch norm folded into the layers before it."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from vig_pyg.blocks import GridConvNormAct, PatchStem
from vig_pyg.conv import LinearNormAct

Model = TypeVar("Model", bound=nn.Module)


def fuse_for_inference(model: Model) -> Model:
    r"""Return a copy of a model in evaluation mode whose batch norms are folded into the linear maps before them.

    With running mean :math:`\mu` and variance :math:`\sigma^2`, the norm behind a map is a map again:

    .. math:: \gamma \, \frac{x W + b - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta = x \, (W a) + (b - \mu) \, a + \beta,
        \qquad a = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}

    Outputs are equal but for rounding. Norms that stand behind something else (an operator of PyG's, say) stay. The
    copy takes no gradients.

    Args:
        model: Any module that holds layers of ours.
    """
    fused = copy.deepcopy(model).eval().requires_grad_(False)
    for layer in fused.modules():
        if isinstance(layer, LinearNormAct):
            _fold(layer, layer.linear.weight, layer.linear.bias)
        elif isinstance(layer, GridConvNormAct | PatchStem):
            _fold(layer, layer.conv.weight, layer.conv.bias)
    return fused


def _fold(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> None:
    norm = layer.norm
    if type(norm) is not nn.BatchNorm1d or norm.running_mean is None or norm.running_var is None or bias is None:
        return
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    shift = -norm.running_mean.double() * scale
    if norm.affine:
        scale, shift = scale * norm.weight, shift * norm.weight + norm.bias
    with torch.no_grad():
        weight.copy_(weight.double() * scale.view(-1, *[1] * (weight.dim() - 1)))
        bias.copy_(bias.double() * scale + shift)
    layer.norm = nn.Identity()
