from functools import partial

import pytest
import timm
import torch
from torch import nn

import vig_pyg
from vig_pyg.study import count_macs, count_parameters, milliseconds_per_image
from vig_pyg.study.cost import without_computing

MAPS = {"gcn": 1, "graph": 2, "resgated": 4, "transformer": 4}  # of every node, in PyG's operators


def test_a_linear_layer_costs_what_it_multiplies() -> None:
    assert count_macs(nn.Linear(12, 5), torch.randn(3, 12)) == 60


def test_counting_leaves_the_mode_as_it_was() -> None:
    model = nn.Linear(2, 2).train()
    count_macs(model, torch.randn(1, 2))
    assert model.training


def test_only_trainable_parameters_count() -> None:
    model = nn.Linear(12, 5)
    model.bias.requires_grad_(False)
    assert count_parameters(model) == 60


def test_every_model_gets_a_time() -> None:
    times = milliseconds_per_image({"one": nn.Linear(8, 8), "two": nn.Linear(8, 8)}, torch.randn(4, 8), rounds=2)
    assert list(times) == ["one", "two"] and min(times.values()) > 0


def micro(conv: str) -> nn.Module:
    return timm.create_model("vig_micro", conv=conv, in_chans=1, num_classes=10)


@pytest.mark.parametrize("conv", vig_pyg.list_convs())
def test_every_operator_is_counted_as_if_it_computed(conv) -> None:
    image = torch.randn(1, 1, 16, 16)
    assert without_computing(count_macs, partial(micro, conv), image) == count_macs(micro(conv), image)


def test_an_operator_costs_what_its_linear_maps_do() -> None:
    macs = {conv: without_computing(count_macs, partial(micro, conv), torch.randn(1, 1, 16, 16)) for conv in MAPS}
    one = 4 * 16 * 48 * 96  # blocks, nodes, channels in and out
    assert {conv: count - macs["gcn"] for conv, count in macs.items()} == {c: (n - 1) * one for c, n in MAPS.items()}
