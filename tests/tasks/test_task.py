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


def test_data_of_which_none_can_be_used_are_refused():
    class Broken(torch.utils.data.Dataset):
        def __len__(self):
            return 100

        def __getitems__(self, draws):
            raise ValueError("20 images in a row do not decode")

    broken = Slant(SimpleNamespace(train=Broken(), name="broken"), Recipe(batch=4, workers=0))
    with pytest.raises(ValueError, match="20 images in a row do not decode"):
        broken.check_data(nn.Identity())
