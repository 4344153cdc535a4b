import torch
from torch import nn

from vig_pyg.study import count_macs, count_parameters, milliseconds_per_image


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
