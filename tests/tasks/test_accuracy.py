from pathlib import Path

import pytest
import timm
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, top_k_accuracy_score
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tests.data.written_folders import write_images
from vig_pyg.data.decoded import Images
from vig_pyg.data.samplers import OnceSampler
from vig_pyg.data.transforms import inference_transform
from vig_pyg.tasks.task import as_it_is
from vig_pyg.train import Evaluation, LabeledBatch, evaluate, load_data


class Scores(nn.Module):
    """Returns a row of a table for the number that an image holds."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = table

    def forward(self, images: Tensor) -> Tensor:
        return self.table[images.flatten(1)[:, 0].long()]


def batches(labels: Tensor, size: int) -> list[LabeledBatch]:
    numbers = torch.arange(len(labels)).float().view(-1, 1, 1, 1)
    return [LabeledBatch(i, y, []) for i, y in zip(numbers.split(size), labels.split(size), strict=True)]


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
    with pytest.raises(ValueError, match="label 9 is no class: the 4 classes are 0 to 3"):
        evaluate(Scores(torch.eye(4)), batches(torch.tensor([0, 9]), 2), 4)


def test_no_image_at_all_is_refused():
    with pytest.raises(ValueError, match="nothing to evaluate on"):
        evaluate(Scores(torch.eye(4)), batches(torch.tensor([-1]), 1), 4)


def evaluate_part(folder: Path, rank: int = 0, processes: int = 1) -> Evaluation:
    torch.manual_seed(0)
    model = timm.create_model("vig_micro", num_classes=2)
    images = Images(load_data(str(folder)).test, inference_transform(model))
    once = OnceSampler(len(images), rank, processes)
    return evaluate(model, DataLoader(images, 4, sampler=once, collate_fn=as_it_is), 2)


def _evaluate_a_part(rank: int, folder: Path) -> None:
    torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    found = evaluate_part(folder / "images", rank, 2)
    torch.save((found.confusion, found.top5, found.broken), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_a_process_may_be_left_with_nothing_but_padding(tmp_path):
    write_images(tmp_path / "images" / "train", 2)
    write_images(tmp_path / "images" / "val", 5)
    (tmp_path / "images" / "val" / "temple" / "004.jpg").unlink()  # of nine, the second process gets four: one batch
    (tmp_path / "images" / "val" / "flower" / "001.jpg").write_bytes(b"damaged")
    alone = evaluate_part(tmp_path / "images")
    assert alone.images == 8 and len(alone.broken) == 1
    torch.multiprocessing.spawn(_evaluate_a_part, (tmp_path,), nprocs=2)
    broken = []
    for rank in range(2):
        confusion, top5, names = torch.load(tmp_path / f"{rank}.pt")
        assert torch.equal(confusion, alone.confusion) and top5 == alone.top5
        broken += names
    assert broken == alone.broken


def test_a_batch_in_which_nothing_decodes_counts_for_nothing(tmp_path):
    write_images(tmp_path / "images" / "train", 2)
    write_images(tmp_path / "images" / "val", 3)
    for name in ("001.jpg", "002.jpg"):  # of six, the last batch
        (tmp_path / "images" / "val" / "temple" / name).write_bytes(b"damaged")
    found = evaluate_part(tmp_path / "images")
    assert found.images == 4 and len(found.broken) == 2
