"""Intersection over union beside its definition."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vig_pyg.data.masks import IGNORE_INDEX, SegmentationBatch
from vig_pyg.tasks.iou import evaluate


class Answers(nn.Module):
    """Returns logits for the class numbers that the first channel of an image holds."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, images: list[Tensor]) -> list[Tensor]:
        return [nn.functional.one_hot(i[0].long(), self.classes).permute(2, 0, 1).float() for i in images]


def maps(count: int, classes: int) -> list[Tensor]:
    return [torch.randint(classes, (5 + number, 9)) for number in range(count)]


def batches(guesses: list[Tensor], masks: list[Tensor], size: int) -> list[SegmentationBatch]:
    images = [guess.float().expand(3, -1, -1) for guess in guesses]
    return [SegmentationBatch(images[i : i + size], masks[i : i + size], []) for i in range(0, len(images), size)]


@pytest.mark.parametrize("size", [1, 3, 10])
def test_figures_are_those_of_the_definition(size):
    torch.manual_seed(0)
    guesses, masks = maps(10, 4), maps(10, 4)
    for mask in masks:
        mask[torch.rand(mask.shape) < 0.2] = IGNORE_INDEX
    found = evaluate(Answers(6), batches(guesses, masks, size), 6)
    pairs = [(g, m) for guess, mask in zip(guesses, masks, strict=True) for g, m in zip(guess, mask, strict=True)]
    pixels = [(int(g), int(m)) for guess, mask in pairs for g, m in zip(guess, mask, strict=True) if m != IGNORE_INDEX]
    wanted = []
    for label in range(4):
        intersection = sum(guess == label and truth == label for guess, truth in pixels)
        union = sum(guess == label or truth == label for guess, truth in pixels)
        wanted.append(intersection / union)
    assert found.iou[:4].tolist() == pytest.approx(wanted)
    assert found.iou[4:].isnan().all()  # neither there nor guessed
    assert found.miou == pytest.approx(sum(wanted) / 4)
    assert found.pixel_accuracy == pytest.approx(sum(guess == truth for guess, truth in pixels) / len(pixels))
    assert found.images == 10


def test_a_mask_of_another_size_gets_the_logits_resized():
    guess = torch.tensor([[0, 1]]).repeat_interleave(4, 0).repeat_interleave(2, 1)
    mask = torch.tensor([[0, 1]]).repeat_interleave(8, 0).repeat_interleave(4, 1)
    assert evaluate(Answers(2), batches([guess], [mask], 1), 2).miou == 1


def test_images_that_do_not_decode_are_named_and_not_counted():
    guesses = maps(2, 3)
    found = evaluate(Answers(3), [*batches(guesses, guesses, 1), SegmentationBatch([], [], ["broken.jpg"])], 3)
    assert (found.miou, found.images, found.broken) == (1, 2, ["broken.jpg"])


def test_no_image_at_all_is_refused():
    with pytest.raises(ValueError, match="no image to evaluate on"):
        evaluate(Answers(2), [SegmentationBatch([], [], [])], 2)


def _evaluate_a_part(rank: int, folder: Path) -> None:
    torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.manual_seed(0)
    guesses, masks = maps(7, 3), maps(7, 3)
    found = evaluate(Answers(3), batches(guesses[rank::2], masks[rank::2], 2), 3)
    torch.save((found.confusion, found.images, found.broken), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_sum_over_the_images_of_both(tmp_path):
    torch.multiprocessing.spawn(_evaluate_a_part, (tmp_path,), nprocs=2)
    torch.manual_seed(0)
    guesses, masks = maps(7, 3), maps(7, 3)
    alone = evaluate(Answers(3), batches(guesses, masks, 2), 3)
    for rank in range(2):
        confusion, images, _ = torch.load(tmp_path / f"{rank}.pt")
        assert torch.equal(confusion, alone.confusion) and images == alone.images == 7
