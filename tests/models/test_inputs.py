"""What models take, and each way in which what detectors learn from may be wrong."""

import pytest
import torch

from vig_pyg.models.inputs import by_size, check_targets

IMAGES = [torch.zeros(3, 10, 20)]
RIGHT = {"boxes": torch.tensor([[0.0, 1, 5, 9]]), "labels": torch.tensor([2]), "masks": torch.zeros(1, 10, 20)}
NONE = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long), "masks": torch.zeros(0, 10, 20)}


@pytest.mark.parametrize("target", [RIGHT, NONE, {**RIGHT, "labels": torch.tensor([2], dtype=torch.int32)}])
def test_what_is_right_passes(target):
    check_targets([target], IMAGES, 3, True)
    check_targets([{name: target[name] for name in ("boxes", "labels")}], IMAGES, 3, False)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"boxes": torch.zeros(1, 5)}, r"boxes must be floats \[N, 4\], got torch.float32 \[1, 5\]"),
        ({"boxes": torch.tensor([[0, 1, 5, 9]])}, r"boxes must be floats \[N, 4\], got torch.int64"),
        ({"boxes": torch.tensor([[5.0, 1, 5, 9]])}, "with right > left and bottom > top"),
        ({"boxes": torch.tensor([[0.0, 1, torch.inf, 9]])}, "boxes must be finite"),
        ({"boxes": torch.zeros(1, 4, device="meta")}, "'boxes' is on meta, but its image on cpu"),
        ({"labels": torch.tensor([2.0])}, r"labels must be whole numbers \[1\], got torch.float32 \[1\]"),
        ({"labels": torch.tensor([1, 2])}, r"labels must be whole numbers \[1\], got torch.int64 \[2\]"),
        ({"labels": torch.tensor([3])}, r"labels must be between 0 and 2, got \[3\]"),
        ({"labels": None}, "'labels' of a target must be a tensor, got None"),
        ({"masks": torch.zeros(1, 20, 10)}, r"masks must have shape \[1, 10, 20\], got \[1, 20, 10\]"),
    ],
)
def test_what_does_not_fit_is_named(wrong, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        check_targets([{**RIGHT, **wrong}], IMAGES, 3, True)


@pytest.mark.parametrize(
    ("targets", "sentence"),
    [
        (None, "targets must be a list of dictionaries in training, one for every image, got None"),
        ([], "there must be a target for every image, got 0 for 1 images"),
        ([3], "target must be a dictionary, got 3"),
    ],
)
def test_there_is_a_target_for_every_image(targets, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        check_targets(targets, IMAGES, 3, True)


def test_images_of_one_size_run_together_and_stay_in_their_places():
    seen = []

    def model(images):
        seen.append(len(images))
        return [image.sum() for image in images]

    images = [torch.full((1, side, 2), float(side)) for side in (2, 3, 2, 4, 3)]
    assert by_size(model, images) == [image.sum() for image in images] and sorted(seen) == [1, 2, 2]
