"""What does not decode is replaced or counts for nothing, and a seed decides what is random."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from vig_pyg.data.decoded import IGNORE_INDEX, TRIES, Decoded, Images, Undecodable, collate, streamed
from vig_pyg.data.labeled import load_data
from vig_pyg.data.samplers import Draw
from vig_pyg.data.transforms import inference_transform


def test_a_broken_image_is_replaced_in_training_and_not_counted_in_tests(folder):
    data = load_data(str(folder))
    path = data.train.samples[0][0]
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: len(whole) // 2])
    images = Images(data.train, inference_transform(timm.create_model("vig_micro")))
    batch = images.__getitems__([Draw(0, 1), Draw(1, 1)])
    assert batch.broken == [path] and torch.equal(batch.images[0], batch.images[1])
    batch = images.__getitems__([Draw(0, None), Draw(1, None)])
    assert batch.broken == [path] and batch.labels[0] == IGNORE_INDEX != batch.labels[1]


class Numbers(Decoded):
    """Gives a number with a random one beside it; the odd ones do not decode."""

    def prepare(self, sample):
        if sample % 2:
            raise ValueError("odd")
        return sample, np.random.random(), torch.rand(1).item()


def test_the_seed_of_a_draw_decides_everything_random():
    numbers = Numbers([0, 1, 2])
    first = numbers.draw(0, 7)
    np.random.seed(3), torch.manual_seed(3)
    assert numbers.draw(0, 7) == first != numbers.draw(0, 8) and first[1] == []


def test_the_next_one_takes_the_place_in_training_only():
    numbers = Numbers([0, 1, 2])
    sample, broken = numbers.draw(1, 7)
    assert sample[0] == 2 and broken == ["image 1"]
    assert numbers.draw(1, None) == (None, ["image 1"]) and numbers.draw(-1, None) == (None, [])


def test_too_many_in_a_row_end_it():
    with pytest.raises(Undecodable, match=f"^{TRIES} images in a row do not decode, image 1 the last: odd$"):
        Numbers([1, 3]).draw(0, 7)


def test_a_batch_of_shards_leaves_out_what_cannot_be_used():
    def transform(image):
        return torch.full((1,), float(image.size[0]))

    shown = [streamed(Image.new("RGB", (side, 1)), transform, "RGB") for side in (3, 5)]
    batch = collate([(shown[0], 1), ("an image of a shard (cut)", 0), (shown[1], 2)])
    assert batch.images.tolist() == [[3], [5]] and batch.labels.tolist() == [1, 2]
    assert batch.broken == ["an image of a shard (cut)"]
    with pytest.raises(Undecodable, match=r"1 images in a row cannot be used, the last is cut"):
        collate([("cut", 0)])
