"""A folded map is the map and its norm, beside PyTorch's own folding."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval, parametrize
from torchvision.ops.misc import FrozenBatchNorm2d

from vig_pyg.conv.fold import folded_norm, is_bare


def drawn(norm: nn.Module) -> nn.Module:
    """Return a norm in evaluation mode with statistics and weights drawn at random."""
    for value in norm.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 2)
    return norm.eval()


@pytest.mark.parametrize(
    ("layer", "norm", "fused"),
    [
        (nn.Linear(6, 4), nn.BatchNorm1d(4), fuse_linear_bn_eval),
        (nn.Conv2d(6, 4, 3), nn.BatchNorm1d(4, eps=0.1), fuse_conv_bn_eval),  # norms are of nodes, also after maps
    ],
)
def test_a_map_is_folded_as_torch_folds_it(layer, norm, fused):
    expected = fused(layer.eval(), drawn(norm)).state_dict()
    assert type(folded_norm(layer, norm, type(layer))) is nn.Identity
    torch.testing.assert_close(layer.state_dict(), expected)


@pytest.mark.parametrize(
    ("layer", "norm", "x"),
    [
        (nn.Linear(3, 4), nn.BatchNorm1d(4, affine=False), torch.ones(2, 3)),
        (nn.Conv2d(3, 4, 1), FrozenBatchNorm2d(4), torch.ones(2, 3, 5, 5)),
    ],
)
def test_a_norm_without_weights_and_a_frozen_one_are_folded(layer, norm, x):
    expected = drawn(norm)(layer(x)).detach()
    folded_norm(layer, norm, type(layer))
    torch.testing.assert_close(layer(x), expected)


def hooked() -> nn.Module:
    layer = nn.Linear(6, 4)
    layer.register_forward_hook(lambda *_: None)
    return layer


def parametrized() -> nn.Module:
    return parametrize.register_parametrization(nn.Linear(6, 4), "weight", nn.Identity(), unsafe=True)


LEFT = {
    "no bias": (nn.Linear(6, 4, bias=False), nn.BatchNorm1d(4)),
    "no statistics": (nn.Linear(6, 4), nn.BatchNorm1d(4, track_running_stats=False)),
    "another norm": (nn.Linear(6, 4), nn.LayerNorm(4)),
    "another map": (nn.Conv1d(6, 4, 1), nn.BatchNorm1d(4)),
    "a hook": (hooked(), nn.BatchNorm1d(4)),
    "a parametrization": (parametrized(), nn.BatchNorm1d(4)),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_cannot_be_folded_stays_as_it_is(case):
    layer, norm = LEFT[case]
    before = deepcopy(layer.state_dict())
    assert folded_norm(layer, norm.eval(), nn.Linear) is norm
    torch.testing.assert_close(layer.state_dict(), before, rtol=0, atol=0)


def test_a_module_is_bare_where_it_is_exactly_of_a_kind_and_unwatched():
    assert is_bare(nn.Linear(2, 2), nn.Conv2d, nn.Linear) and not is_bare(hooked(), nn.Linear)
    assert not is_bare(nn.LazyLinear(2), nn.Linear)
