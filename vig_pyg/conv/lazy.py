"""Operators whose widths the first call says, as ``in_channels=-1`` asks for."""

from collections.abc import Mapping

from torch import nn
from torch.nn.parameter import UninitializedParameter

Layers = Mapping[str, nn.Module | None]


def without_shapes(layers: Layers) -> Layers:
    """Give layers parameters without a shape: an optimizer or a copy then holds those that will get one."""
    for layer in layers.values():
        for module in [] if layer is None else layer.modules():
            for name, parameter in module.named_parameters(recurse=False):
                setattr(module, name, UninitializedParameter(requires_grad=parameter.requires_grad))
    return layers


def give_shapes(module: nn.Module, layers: Layers) -> None:
    """Make of the layers of a module, which are :func:`without_shapes`, what the given ones are.

    Parameters stay the same objects, on the device and in the type that the module was moved to.
    """
    for name, layer in layers.items():
        if layer is None:
            module.add_module(name, None)
            continue
        like = next(module.parameters()).data
        pairs = zip(getattr(module, name).modules(), layer.to(like.device, like.dtype).modules(), strict=True)
        for own, made in pairs:
            for key, parameter in made.named_parameters(recurse=False):
                getattr(own, key).materialize(parameter.shape)
                getattr(own, key).data.copy_(parameter.data)
            for key, buffer in made.named_buffers(recurse=False):
                own.register_buffer(key, buffer, persistent=key not in made._non_persistent_buffers_set)
            plain = {k: v for k, v in vars(made).items() if not k.startswith("_") and k != "training"}
            vars(own).update(plain)
