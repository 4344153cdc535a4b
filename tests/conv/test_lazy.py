"""Layers without shapes get those of others and stay the same parameters."""

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from vig_pyg.conv.lazy import give_shapes, without_shapes
from vig_pyg.conv.linear import LinearNormAct


class Holder(nn.Module):
    def __init__(self, **layers):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)


def test_parameters_stay_the_same_objects_and_become_those_of_other_layers():
    with torch.device("meta"):
        layers = {"nn": LinearNormAct(4, 6, act="gelu"), "source": nn.Linear(2, 3)}
    holder = Holder(**without_shapes(layers)).double()
    before = dict(holder.named_parameters())
    assert all(isinstance(parameter, UninitializedParameter) for parameter in before.values())
    made = LinearNormAct(8, 6, act="gelu")
    made.norm.running_mean.fill_(3)
    give_shapes(holder, {"nn": made, "source": None})
    after = dict(holder.named_parameters())
    assert all(after[name] is before[name] for name in after) and holder.source is None
    assert holder.nn.linear.weight.shape == (6, 8) and holder.nn.linear.in_channels == 8
    x = torch.randn(5, 8, dtype=torch.float64)
    assert torch.equal(holder.eval().nn(x), made.double().eval()(x))
