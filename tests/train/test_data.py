import random
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.datasets import load_digits as sklearn_digits

from tests.train.conftest import write_images
from vig_pyg.train import Split, load_data, load_digits, read_recipe
from vig_pyg.train.data import NOTHING, Images, Memory, loaders, test_batches, test_transform
from vig_pyg.train.digits import shift
from vig_pyg.train.sampler import Draw

test_batches.__test__ = test_transform.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def digits() -> Split:
    return load_digits()


def test_the_split_holds_every_digit_once(digits):
    original = torch.from_numpy(sklearn_digits().images).flatten(1)
    images = torch.cat([digits.train_images, digits.test_images])
    labels = torch.cat([digits.train_labels, digits.test_labels])
    assert images.shape == (1797, 1, 32, 32)
    assert labels.bincount().tolist() == torch.from_numpy(sklearn_digits().target).bincount().tolist()
    assert abs(images.add(1).mean().item() / 2 - original.mean().item() / 16) < 0.01


def test_a_fifth_of_every_class_is_held_out(digits):
    share = digits.test_labels.bincount() / torch.cat([digits.train_labels, digits.test_labels]).bincount()
    assert (share - 0.2).abs().max() < 0.005


def test_the_split_is_always_the_same(digits):
    torch.manual_seed(123)
    assert torch.equal(load_digits().test_images, digits.test_images)


def test_shift_moves_images_by_whole_pixels():
    image = torch.zeros(8, 1, 9, 9)
    image[:, 0, 4, 4] = 1
    moved = shift(image, 2)
    places = moved.flatten(1).argmax(1)
    assert torch.equal(moved.sum((1, 2, 3)), torch.ones(8))
    assert ((places // 9 - 4).abs() <= 2).all() and ((places % 9 - 4).abs() <= 2).all()


def test_images_in_memory_move_as_their_seed_says(digits):
    data = Memory(digits.train_images, digits.train_labels, pixels=2)
    draws = [Draw(3, 7), Draw(5, 8)]
    first, again = data.__getitems__(draws), data.__getitems__(draws)
    assert torch.equal(first.images, again.images) and first.labels.tolist() == digits.train_labels[[3, 5]].tolist()
    still = data.__getitems__([Draw(3, None), Draw(-1, None)])
    assert torch.equal(still.images[0], digits.train_images[3]) and still.labels[1] == NOTHING


def test_a_folder_is_split_by_class(folder):
    data = load_data(str(folder))
    assert data.classes == ["flower", "temple"]
    assert (len(data.train), len(data.test)) == (16, 4)
    assert sorted(label for _, label in data.test.samples) == [0, 0, 1, 1]
    assert not set(data.train.samples) & set(data.test.samples)
    assert load_data(str(folder)).test.samples == data.test.samples


@pytest.mark.parametrize("name", ["val", "validation", "test"])
def test_a_folder_may_hold_its_own_test_images(name, tmp_path):
    write_images(tmp_path / "train", 3)
    write_images(tmp_path / name, 2)
    data = load_data(str(tmp_path))
    assert (len(data.train), len(data.test)) == (6, 4)


def test_augmentation_follows_from_the_seed_alone(folder):
    model, recipe = timm.create_model("vig_micro"), read_recipe("deit", ["batch=8", "workers=0", "random_erasing=0.9"])
    train, _ = loaders(load_data(str(folder)), model, recipe, 8)
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
        train, test = loaders(data, model, recipe, 4)
        shown.append(torch.cat([batch.images for batch in [*train, *test]]))
    assert torch.equal(*shown)


def test_a_broken_image_is_replaced_in_training_and_not_counted_in_tests(folder):
    data = load_data(str(folder))
    path = data.train.samples[0][0]
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: len(whole) // 2])
    images = Images(data.train, test_transform(timm.create_model("vig_micro")))
    batch = images.__getitems__([Draw(0, 1), Draw(1, 1)])
    assert batch.broken == [path] and torch.equal(batch.images[0], batch.images[1])
    batch = images.__getitems__([Draw(0, None), Draw(1, None)])
    assert batch.broken == [path] and batch.labels[0] == NOTHING != batch.labels[1]


def test_images_are_prepared_as_timm_prepares_them(folder):
    model = timm.create_model("vig_tiny")
    image = Image.open(load_data(str(folder)).test.samples[0][0])
    config = timm.data.resolve_data_config({}, model=model)
    expected = timm.data.create_transform(**config)(image)
    (batch,) = test_batches(load_data(str(folder)), model, 4)
    assert torch.equal(batch.images[0], expected) and expected.shape == (3, 224, 224)


def test_a_data_set_that_timm_cannot_load_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="timm cannot load 'torch/nowhere' from"):
        load_data("torch/nowhere", root=str(tmp_path))


def test_missing_empty_and_single_class_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder 'nowhere'; data may be digits, an image folder"):
        load_data("nowhere")
    with pytest.raises(FileNotFoundError, match="holds no images in folders, one per class"):
        load_data(str(tmp_path))
    (tmp_path / "cats").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no images in folders, one per class"):
        load_data(str(tmp_path))
    Image.new("RGB", (8, 8)).save(tmp_path / "cats" / "one.png")
    with pytest.raises(ValueError, match=r"has one class only \(cats\): classification needs at least two folders"):
        load_data(str(tmp_path))


def test_test_images_of_other_classes_are_refused(tmp_path):
    write_images(tmp_path / "train", 2)
    write_images(tmp_path / "val", 2)
    (tmp_path / "val" / "flower").rename(tmp_path / "val" / "rose")
    with pytest.raises(ValueError, match="have other classes, 'flower' first"):
        load_data(str(tmp_path))


def test_a_batch_larger_than_the_data_is_refused(folder):
    recipe = read_recipe("deit", ["batch=17"])
    with pytest.raises(ValueError, match="batch=17 is more than the 16 training images"):
        loaders(load_data(str(folder)), timm.create_model("vig_micro"), recipe, 17)
