"""Learning rates beside their formulas, update by update."""

import math

import pytest
import torch

from vig_pyg.train import read_recipe
from vig_pyg.train.schedule import learning_rates

UPDATES = 5  # of an epoch
PEAK, FIRST, LAST = 0.4, 0.1, 0.05


def rates(*words: str) -> list[float]:
    """Return the rate of every update."""
    said = (f"warmup_learning_rate={FIRST}", f"min_learning_rate={LAST}")
    recipe = read_recipe("digits", [*said, *words])
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    schedule, seen = learning_rates(optimizer, recipe, UPDATES), []
    for update in range(recipe.epochs * UPDATES):
        schedule.step_update(update)
        seen.append(optimizer.param_groups[0]["lr"])
    return seen


def test_a_cosine_falls_from_the_first_rate_to_the_last():
    count = 4 * UPDATES
    expected = [LAST + (PEAK - LAST) * (1 + math.cos(math.pi * update / count)) / 2 for update in range(count)]
    assert rates("epochs=4", "warmup_epochs=0") == pytest.approx(expected)


def test_the_warm_up_rises_linearly_to_the_peak():
    found = rates("epochs=4", "warmup_epochs=2")
    warm = 2 * UPDATES
    assert found[:warm] == pytest.approx([FIRST + (PEAK - FIRST) * update / warm for update in range(warm)])
    assert found[warm] == pytest.approx(PEAK) and sorted(found[warm:], reverse=True) == found[warm:]


def test_a_warm_up_that_is_longer_than_the_training_leaves_it_two_updates():
    found = rates("epochs=1", "warmup_epochs=1")
    assert found[:3] == pytest.approx([FIRST + (PEAK - FIRST) * update / 3 for update in range(3)])
    assert found[3] == pytest.approx(PEAK) and LAST < found[4] < PEAK
