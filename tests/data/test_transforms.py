"""Images are prepared as timm prepares them, with the model's own settings."""

import pytest
import timm
import torch
from PIL import Image

from tests.tasks.loading import held_out_batches
from vig_pyg.data.labeled import load_data
from vig_pyg.data.transforms import data_config, image_mode, inference_transform
from vig_pyg.tasks import Classification


def test_images_are_prepared_as_timm_prepares_them(folder):
    model = timm.create_model("vig_tiny")
    image = Image.open(load_data(str(folder)).test.samples[0][0])
    config = timm.data.resolve_data_config({}, model=model)
    expected = timm.data.create_transform(**config)(image)
    (batch,) = held_out_batches(Classification, load_data(str(folder)), 4, model)
    assert torch.equal(batch.images[0], expected) and expected.shape == (3, 224, 224)


def test_one_channel_is_gray_with_the_mean_of_three():
    model = timm.create_model("vig_micro", in_chans=1)
    model.pretrained_cfg = {**model.pretrained_cfg, "mean": (0.1, 0.2, 0.6), "std": (0.5, 0.5, 0.5)}
    assert image_mode(model) == "L" and image_mode(timm.create_model("vig_micro")) == "RGB"
    config = data_config(model, 48)
    assert config["mean"] == pytest.approx((0.3,)) and config["input_size"] == (1, 48, 48)


def test_an_image_that_would_become_too_large_is_refused():
    with pytest.raises(ValueError, match="pixels"):
        inference_transform(timm.create_model("vig_micro"))(Image.new("RGB", (400_000, 2)))
