import pytest
import torch
from sklearn.datasets import load_digits as sklearn_digits
from torch import nn

from vig_pyg.train import Split, accuracy, fit, load_digits
from vig_pyg.train.fit import shift


@pytest.fixture(scope="module")
def digits() -> Split:
    return load_digits()


def test_the_split_holds_every_digit_once(digits: Split) -> None:
    original = torch.from_numpy(sklearn_digits().images).flatten(1)
    images = torch.cat([digits.train_images, digits.test_images])
    labels = torch.cat([digits.train_labels, digits.test_labels])
    assert (
        images.shape == (1797, 1, 32, 32)
        and labels.bincount().tolist() == torch.from_numpy(sklearn_digits().target).bincount().tolist()
    )
    assert abs(images.add(1).mean().item() / 2 - original.mean().item() / 16) < 0.01


def test_a_fifth_of_every_class_is_held_out(digits: Split) -> None:
    share = digits.test_labels.bincount() / torch.cat([digits.train_labels, digits.test_labels]).bincount()
    assert (share - 0.2).abs().max() < 0.005


def test_the_split_is_always_the_same(digits: Split) -> None:
    torch.manual_seed(123)
    assert torch.equal(load_digits().test_images, digits.test_images)


def test_shift_moves_images_by_whole_pixels() -> None:
    image = torch.zeros(8, 1, 9, 9)
    image[:, 0, 4, 4] = 1
    moved = shift(image, 2)
    places = moved.flatten(1).argmax(1)
    assert torch.equal(moved.sum((1, 2, 3)), torch.ones(8))
    assert ((places // 9 - 4).abs() <= 2).all() and ((places % 9 - 4).abs() <= 2).all()


def test_fit_learns_and_reports_every_epoch(digits: Split) -> None:
    torch.manual_seed(0)
    small = Split(*(part[:256] for part in digits))
    model = nn.Sequential(nn.Flatten(), nn.Linear(1024, 10))
    seen: list = []
    history = fit(model, small, epochs=6, on_epoch=seen.append)
    assert history == seen and len(history) == 6
    assert history[-1].loss < history[0].loss and history[-1].accuracy > 0.6
    assert history[-1].accuracy == accuracy(model, small.test_images, small.test_labels)


def test_accuracy_counts_correct_images() -> None:
    labels = torch.arange(10)
    scores = torch.eye(10)
    scores[3] = scores[4]
    assert accuracy(_Lookup(scores), torch.arange(10).float()[:, None], labels, batch_size=3) == 0.9


class _Lookup(nn.Module):
    def __init__(self, scores: torch.Tensor) -> None:
        super().__init__()
        self.scores = nn.Parameter(scores)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.scores[images[:, 0].long()]


def test_no_epochs_is_an_error(digits: Split) -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        fit(nn.Linear(1, 1), digits, epochs=0)
