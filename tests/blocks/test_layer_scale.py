"""Scales per channel, and their folding into the map before them."""

import copy

import torch
from torch import nn

from vig_pyg.blocks.layer_scale import folded_scale, scale_of
from vig_pyg.conv.linear import LinearNormAct


def test_a_scale_starts_from_a_number_or_is_none():
    x = torch.randn(5, 4)
    torch.testing.assert_close(scale_of(4, 0.25)(x), x / 4)
    assert torch.equal(scale_of(4, None)(x), x)


def test_folded_it_gives_the_same_and_stays_where_it_cannot_be_folded():
    torch.manual_seed(0)
    x, scale = torch.randn(5, 4, dtype=torch.float64), scale_of(3, 1.0).double()
    with torch.no_grad():
        scale.gamma.normal_()
    layer = LinearNormAct(4, 3).double().eval()
    folded = copy.deepcopy(layer)
    assert isinstance(folded_scale(folded, scale), nn.Identity)
    torch.testing.assert_close(folded(x), scale(layer(x)))
    for other in (LinearNormAct(4, 3, norm="layer"), LinearNormAct(4, 3, act="relu"), nn.Linear(4, 3)):
        other = other.double().eval()
        before = other(x)
        assert folded_scale(other, scale) is scale
        torch.testing.assert_close(other(x), before)
