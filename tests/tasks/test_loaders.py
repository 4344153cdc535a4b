"""Loaders show what their samplers draw, each process its part."""

import pytest
import torch

from vig_pyg.tasks import loaders
from vig_pyg.tasks.recipe import Recipe


class Drawn:
    """Gives the draws themselves, as a batch."""

    def __len__(self):
        return 10

    def __getitems__(self, draws):
        return draws


RECIPE = Recipe(batch=4, workers=0)


def test_training_shows_whole_batches_of_different_images():
    found = list(loaders.train_loader(Drawn(), "numbers", RECIPE, 2))
    numbers = [number for batch in found for number, _ in batch]
    assert [len(batch) for batch in found] == [2] * 4 and len(set(numbers)) == 8
    assert all(seed is not None for batch in found for _, seed in batch)


def test_processes_share_the_draws():
    whole = [draw for batch in loaders.train_loader(Drawn(), "numbers", RECIPE, 2) for draw in batch]
    parts = [loaders.train_loader(Drawn(), "numbers", RECIPE, 2, rank, 2) for rank in range(2)]
    assert sorted(draw for part in parts for batch in part for draw in batch) == sorted(whole)


@pytest.mark.parametrize("processes", [1, 3])
def test_every_held_out_image_is_shown_once(processes):
    parts = [loaders.test_loader(Drawn(), 0, 4, rank, processes) for rank in range(processes)]
    shown = [number for part in parts for batch in part for number, _ in batch if number >= 0]
    assert sorted(shown) == list(range(10))


def test_more_than_there_is_is_refused():
    with pytest.raises(ValueError, match="batch=11 is more than the 10 training images of numbers: lower it"):
        loaders.train_loader(Drawn(), "numbers", Recipe(batch=11), 11)


def test_processes_that_load_stay_between_epochs():
    assert loaders.loading(0)["persistent_workers"] is False and loaders.loading(2)["persistent_workers"] is True
    assert loaders.loading(2)["pin_memory"] == torch.cuda.is_available()
