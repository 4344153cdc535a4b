"""What a task has without saying it; test_own_task.py has one that says all."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tests.tasks.slant import Slant
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.task import Task


class Slanted(Slant):
    default_recipe = Task.default_recipe


def task() -> Slant:
    return Slant(SimpleNamespace(train=range(7)), Recipe(model="vig_micro"))


def test_a_task_is_whole_only_with_all_that_it_must_say():
    with pytest.raises(TypeError, match="abstract"):
        Task(None, Recipe())


def test_a_task_without_a_recipe_asks_for_one():
    with pytest.raises(ValueError, match="the task a:B has no recipe of its own: name one with --recipe"):
        Slanted.default_recipe({"task": "a:B"})


def test_a_recipe_names_what_is_trained_and_the_data_how_much_there_is():
    assert Slant.title(task().recipe) == "vig_micro" and task().images == 7


def test_a_model_is_shown_an_example():
    fits, other = nn.Sequential(nn.Flatten(), nn.Linear(1024, 1)), nn.Conv2d(3, 1, 1)
    task().check_fits(fits)
    assert fits.training
    with pytest.raises(ValueError, match=r"vig_micro does not take these images: .*to have 3 channels"):
        task().check_fits(other)


def test_a_task_says_once_what_its_data_are_made_of():
    class Sounds(Slant):
        noun = "sound"

    sounds = Sounds(SimpleNamespace(train=Drawn(), name="noises"), Recipe(model="vig_micro", batch=11))
    with pytest.raises(ValueError, match="vig_micro does not take these sounds"):
        sounds.check_fits(nn.Conv2d(3, 1, 1))
    with pytest.raises(ValueError, match="the 10 training sounds of noises"):
        sounds.train_loader(nn.Identity(), 11)


def test_data_of_which_none_can_be_used_are_refused():
    class Broken(torch.utils.data.Dataset):
        def __len__(self):
            return 100

        def __getitems__(self, draws):
            raise ValueError("20 images in a row do not decode")

    broken = Slant(SimpleNamespace(train=Broken(), name="broken"), Recipe(batch=4, workers=0))
    with pytest.raises(ValueError, match="20 images in a row do not decode"):
        broken.check_data(nn.Identity())


# Loaders ############################################################################################


class Drawn:
    """Gives the draws themselves, as a batch."""

    def __len__(self):
        return 10

    def __getitems__(self, draws):
        return draws


def numbers(recipe: Recipe) -> Slant:
    return Slant(SimpleNamespace(train=Drawn(), test=Drawn(), name="numbers"), recipe)


def shown(processes=1, training=True):
    """What the loaders of all processes show, batch by batch."""
    task, found = numbers(Recipe(batch=4, workers=0)), []
    for rank in range(processes):
        load, batch = (task.train_loader, 2 // processes) if training else (task.test_loader, 4)
        found += load(nn.Identity(), batch, rank, processes)
    return found


def test_training_shows_whole_batches_of_different_images():
    found = shown()
    drawn = [number for batch in found for number, _ in batch]
    assert [len(batch) for batch in found] == [2] * 4 and len(set(drawn)) == 8
    assert all(seed is not None for batch in found for _, seed in batch)


def test_processes_share_the_draws():
    whole, parts = ([draw for batch in shown(count) for draw in batch] for count in (1, 2))
    assert sorted(parts) == sorted(whole)


@pytest.mark.parametrize("processes", [1, 3])
def test_every_held_out_image_is_shown_once(processes):
    drawn = [number for batch in shown(processes, training=False) for number, _ in batch if number >= 0]
    assert sorted(drawn) == list(range(10))


def test_more_than_there_is_is_refused():
    with pytest.raises(ValueError, match="batch=11 is more than the 10 training images of numbers: lower it"):
        numbers(Recipe(batch=11)).train_loader(nn.Identity(), 11)


@pytest.mark.parametrize("workers", [0, 2])
def test_processes_that_load_stay_between_epochs(workers):
    loader = numbers(Recipe(batch=4, workers=workers)).test_loader(nn.Identity(), 4)
    assert loader.persistent_workers is (workers > 0) and loader.pin_memory == torch.cuda.is_available()
