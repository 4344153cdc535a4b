"""Models made ready for inference: batch norm folded into the layers before it."""

import copy
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from timm.layers.activations import GELU
from torch import Tensor, nn

from vig_pyg.blocks import (
    FFN,
    ConditionalPosition,
    Downsample,
    Grapher,
    GridConvNormAct,
    Head,
    InvertedResidual,
    PatchStem,
)
from vig_pyg.checks import check_kind
from vig_pyg.conv import GroupedLinear, LinearNormAct
from vig_pyg.conv.fold import is_bare
from vig_pyg.kernels.torch_internals import conv_gelu, linear_gelu

Model = TypeVar("Model", bound=nn.Module)
FOLDED = (  # nothing is known of subclasses
    LinearNormAct,
    GridConvNormAct,
    Downsample,
    PatchStem,
    ConditionalPosition,
    InvertedResidual,
    Grapher,
    FFN,
)


def fuse_for_inference(model: Model) -> Model:
    r"""Return a copy of a model in evaluation mode whose batch norms are folded into the linear maps before them.

    So are scales of layers, and the identity beside a conditional position.

    With running mean :math:`\mu` and variance :math:`\sigma^2`, the norm after a map is a map again:

    .. math:: \gamma \, \frac{x W + b - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta = x \, (W a) + (b - \mu) \, a + \beta,
        \qquad a = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}

    Outputs are equal but for rounding. Norms after something else stay: after an operator of PyG's, say, or after a map
    that LoRA, a parametrization, pruning or a hook changes. The copy takes no gradients. On the CPU, GELU is computed
    by oneDNN together with the map before it.

    Args:
        model: Any module that holds layers of ours.
    """
    fused = fold_batch_norm(model)
    if torch.backends.mkldnn.is_available():
        _join_gelu(fused)
    return fused


def fold_batch_norm(model: Model) -> Model:
    """Do what :func:`fuse_for_inference` does, but for joining GELU to the map before it: for any device and export."""
    check_kind("a module", nn.Module, model=model)
    folded = copy.deepcopy(model).eval().requires_grad_(False)
    layer: Any
    for layer in folded.modules():
        if type(layer) in FOLDED:
            layer.reparameterize()
    return folded


class LinearGELU(GroupedLinear):
    """A linear map and GELU in one call of oneDNN, where nodes are float32 on the CPU."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Return the mapped and activated nodes."""
        if _takes_onednn(x, self.weight):
            return linear_gelu(x, self.weight, self.bias)
        return F.gelu(super().forward(x))


class ConvGELU(nn.Conv2d):
    """A convolution and GELU in one call of oneDNN, where maps are float32 on the CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated map."""
        if _takes_onednn(x, self.weight):
            return conv_gelu(x, self)
        return F.gelu(super().forward(x))


def _takes_onednn(x: Tensor, weight: Tensor) -> bool:
    """Return whether to call oneDNN directly; a compiler joins GELU to maps by itself."""
    return x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32 and not torch.compiler.is_compiling()


def _join_gelu(model: nn.Module) -> None:
    for layer in model.modules():
        fc1: Any = getattr(layer, "fc1", None)
        if isinstance(layer, FFN | Head | InvertedResidual) and is_bare(fc1, LinearNormAct):
            if _is_gelu_of(fc1, fc1.linear) and fc1.linear.heads == 1:
                layer.fc1 = fc1.linear
                layer.fc1.__class__ = LinearGELU
        elif isinstance(layer, GridConvNormAct) and _is_gelu_of(layer, layer.conv):
            layer.conv.__class__ = ConvGELU
            layer.act = nn.Identity()


def _is_gelu_of(layer: Any, linear: nn.Module) -> bool:
    """Return whether a layer is the exact GELU of a linear map."""
    exact = is_bare(layer.act, nn.GELU, GELU) and getattr(layer.act, "approximate", "none") == "none"
    return exact and is_bare(linear, GroupedLinear, nn.Conv2d) and is_bare(layer.norm, nn.Identity)
