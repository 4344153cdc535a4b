import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, top_k_accuracy_score
from torch import Tensor, nn

from vig_pyg.train import Batch, evaluate


class Scores(nn.Module):
    """Returns a row of a table for the number that an image holds."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = table

    def forward(self, images: Tensor) -> Tensor:
        return self.table[images.flatten(1)[:, 0].long()]


def batches(labels: Tensor, size: int) -> list[Batch]:
    numbers = torch.arange(len(labels)).float().view(-1, 1, 1, 1)
    return [Batch(i, y, []) for i, y in zip(numbers.split(size), labels.split(size), strict=True)]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_figures_equal_those_of_scikit_learn(size):
    torch.manual_seed(0)
    labels, scores = torch.randint(8, (100,)), torch.randn(100, 8)
    found = evaluate(Scores(scores), batches(labels, size), 8)
    assert found.top1 == pytest.approx(accuracy_score(labels, scores.argmax(1)))
    assert found.top5 == pytest.approx(top_k_accuracy_score(labels, scores, k=5))
    assert (found.confusion.numpy() == confusion_matrix(labels, scores.argmax(1))).all()
    assert found.images == 100
    for label in range(8):
        mine = labels == label
        assert found.per_class[label].item() == pytest.approx((scores.argmax(1)[mine] == label).float().mean().item())


def test_what_has_no_label_is_not_counted():
    labels = torch.tensor([0, 1, -1, 2])
    found = evaluate(Scores(torch.eye(4)), batches(labels, 2), 4)
    assert (found.top1, found.images) == (pytest.approx(2 / 3), 3)


def test_fewer_than_five_classes_are_all_among_the_best_five():
    assert evaluate(Scores(torch.randn(4, 3)), batches(torch.tensor([0, 1, 2, 0]), 4), 3).top5 == 1


def test_a_label_that_is_no_class_is_refused():
    with pytest.raises(ValueError, match="an image has label 9, but the 4 classes are 0 to 3"):
        evaluate(Scores(torch.eye(4)), batches(torch.tensor([0, 9]), 2), 4)


def test_no_image_at_all_is_refused():
    with pytest.raises(ValueError, match="no image to evaluate on"):
        evaluate(Scores(torch.eye(4)), batches(torch.tensor([-1]), 1), 4)
