"""A data set that a user writes, as the guide says, trains as ours do."""

import numpy as np
import torch
from PIL import Image

from vig_pyg.data.labeled import ClassificationData
from vig_pyg.train import build_model, fit, read_recipe

RECIPE = [
    *("data=stripes", "model=vig_micro", "image_size=32", "workers=0", "epochs=6", "warmup_epochs=0", "batch=16"),
    *("learning_rate=0.1", "crop_scale=1", "mixup=0", "cutmix=0", "random_erasing=0", "ema_decay=0", "drop_path=0"),
]


class Stripes:
    """Images of stripes, drawn by number: across (class 0) or down (class 1)."""

    def __init__(self, numbers):
        self.numbers = numbers

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        number = self.numbers[index]
        shade = np.random.default_rng(number).integers(20, 80, (40, 40))
        stripes = shade + 150 * (np.indices((40, 40))[number % 2] // 5 % 2)
        return Image.fromarray(stripes.astype(np.uint8)).convert("RGB"), number % 2


def test_it_trains(tmp_path):
    data = ClassificationData("stripes", Stripes(range(64)), Stripes(range(64, 80)), ["across", "down"])
    recipe = read_recipe("deit", RECIPE)
    torch.manual_seed(0)
    history = fit(build_model(recipe, 2, channels=3), data, recipe, tmp_path / "run")
    assert history[-1].accuracy == 1
    assert "stripes" in (tmp_path / "run" / "recipe.yaml").read_text()
