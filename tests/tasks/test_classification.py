"""What a classifier is shown, and what it learns from it."""

import random

import numpy as np
import pytest
import timm
import torch

from vig_pyg.data.labeled import ImageTensorDataset, load_data
from vig_pyg.data.samplers import Draw
from vig_pyg.tasks.classification import Classification
from vig_pyg.train import LabeledBatch, Split, load_digits, read_recipe


@pytest.fixture(scope="module")
def digits() -> Split:
    return load_digits()


def test_augmentation_follows_from_the_seed_alone(folder):
    model, recipe = timm.create_model("vig_micro"), read_recipe("deit", ["batch=8", "workers=0", "random_erasing=0.9"])
    train = Classification(load_data(str(folder)), recipe).train_loader(model, 8)
    draws = [Draw(2, 11), Draw(2, 12)]
    first = train.dataset.__getitems__(draws).images
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    assert torch.equal(train.dataset.__getitems__(draws[::-1]).images.flip(0), first)
    assert not torch.equal(first[0], first[1])


def test_loading_processes_change_nothing(folder):
    model, data = timm.create_model("vig_micro"), load_data(str(folder))
    shown = []
    for workers in (0, 2):
        recipe = read_recipe("deit", ["batch=8", f"workers={workers}"])
        task = Classification(data, recipe)
        train, test = task.train_loader(model, 4), task.test_loader(model, 4)
        shown.append(torch.cat([batch.images for batch in [*train, *test]]))
    assert torch.equal(*shown)


def test_a_batch_larger_than_the_data_is_refused(folder):
    recipe = read_recipe("deit", ["batch=17"])
    with pytest.raises(ValueError, match="batch=17 is more than the 16 training images"):
        Classification(load_data(str(folder)), recipe).train_loader(timm.create_model("vig_micro"), 17)


def test_images_are_not_moved_out_of_sight(digits):
    ImageTensorDataset(digits.train_images, digits.train_labels, pixels=31)
    with pytest.raises(ValueError, match="shift must be less than the 32 pixels of an image's side, got 1000"):
        Classification(load_data("digits"), read_recipe("digits", ["shift=1000"])).train_loader(
            timm.create_model("vig_micro"), 8
        )


def test_images_of_files_are_not_moved(folder):
    with pytest.raises(ValueError, match=r"shift=2 is for the built-in digits, not for .*images: add shift=0"):
        Classification(load_data(str(folder)), read_recipe("digits", ["batch=8"])).train_loader(
            timm.create_model("vig_micro"), 8
        )


def test_the_loss_is_cross_entropy_with_the_recipes_smoothing():
    recipe = read_recipe("digits", ["label_smoothing=0.2"])
    scores, labels = torch.randn(5, 10, generator=torch.Generator().manual_seed(0)), torch.tensor([3, 1, 4, 1, 5])
    batch = LabeledBatch(torch.zeros(5, 1, 32, 32), labels, [])
    loss = Classification(load_data("digits"), recipe).loss(lambda _: scores, batch, torch.device("cpu"))
    wanted = torch.full((5, 10), 0.2 / 10)
    wanted[range(5), labels] += 0.8
    torch.testing.assert_close(loss, -(wanted * scores.log_softmax(1)).sum(1).mean())
