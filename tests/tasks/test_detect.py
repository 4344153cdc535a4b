"""Pictures of what was found."""

from pathlib import Path

import torch

from vig_pyg.detection import Prediction, draw


def test_a_pixel_of_two_objects_shows_the_better_one():
    masks = torch.zeros(2, 480, 480, dtype=torch.bool)
    masks[0, 100:300, 100:300] = masks[1, 200:400, 200:400] = True
    objects = {
        "boxes": torch.tensor([[100.0, 100.0, 300.0, 300.0], [200.0, 200.0, 400.0, 400.0]]),
        "labels": torch.tensor([0, 1]),
        "scores": torch.tensor([0.9, 0.8]),
        "masks": masks,
    }
    picture = draw(Prediction(Path("x"), objects, torch.full((3, 480, 480), 200, dtype=torch.uint8)), ["a", "b"])
    alone, shared, other, none = (picture[:, place, place].tolist() for place in (180, 250, 350, 450))
    assert none == [200, 200, 200]
    assert alone == shared != other != none


def test_what_is_less_sure_is_not_drawn_and_small_images_are_enlarged():
    objects = {"boxes": torch.tensor([[1.0, 1, 9, 9]]), "labels": torch.tensor([0]), "scores": torch.tensor([0.4])}
    prediction = Prediction(Path("x"), objects, torch.full((3, 100, 200), 7, dtype=torch.uint8))
    assert draw(prediction, ["a"]).shape == (3, 500, 1000)
    assert (draw(prediction, ["a"]) == 7).all() and not (draw(prediction, ["a"], score=0.4) == 7).all()
