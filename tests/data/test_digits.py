"""The built-in digits are scikit-learn's, split once and for all."""

import pytest
import torch
from sklearn.datasets import load_digits as sklearn_digits

from vig_pyg.data.digits import Split, load_digits, shift
from vig_pyg.data.labeled import load_data


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


@pytest.mark.parametrize("size", [0, -1, 100_000])
def test_digits_have_a_size(size):
    with pytest.raises(ValueError, match=f"size must be between 1 and 8192 pixels, got {size}"):
        load_data("digits", size)
    with pytest.raises(TypeError, match=r"size must be a whole number, got 3.5"):
        load_digits(3.5)
