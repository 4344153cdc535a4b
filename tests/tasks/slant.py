"""A task of one's own, as a file that commands take by ``--task slant:Slant``: how slanted a handwritten digit is."""

from pathlib import Path
from types import SimpleNamespace

import torch
from torch.nn.functional import mse_loss

from vig_pyg.data.images import read_image
from vig_pyg.data.labeled import ImageTensorDataset, load_data
from vig_pyg.data.transforms import inference_transform
from vig_pyg.tasks import Task, build_model


def slant(images: torch.Tensor) -> torch.Tensor:
    """Return the slope of the line through the ink of every image ``[N, 1, H, W]``, columns per row."""
    ink, place = images[:, 0] + 1, torch.linspace(-1, 1, images.size(2))
    total = ink.sum((1, 2))
    y = place - ((ink.sum(2) @ place) / total)[:, None]
    return ((ink @ place) * y).sum(1) / (ink.sum(2) * y**2).sum(1)


class Slant(Task):
    @classmethod
    def default_recipe(cls, given):
        return str(Path(__file__).with_suffix(".yaml"))

    @classmethod
    def load_data(cls, recipe):
        digits = load_data("digits")
        train, test = (ImageTensorDataset(part.images, slant(part.images)) for part in (digits.train, digits.test))
        return SimpleNamespace(name="digits", train=train, test=test, classes=["slant"], channels=1)

    @classmethod
    def build_model(cls, recipe, data):
        return build_model(recipe, len(data.classes), data.channels)

    def example(self, model):
        return torch.zeros(2, 1, 32, 32)

    def loss(self, model, batch, device):
        return mse_loss(model(batch.images.to(device))[:, 0], batch.labels.to(device))

    @torch.no_grad()
    def evaluate(self, model, batches, device, on_batch=lambda _: None):
        pairs = [(model.eval()(batch.images.to(device))[:, 0].cpu(), batch.labels) for batch in batches]
        guessed, true = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        return SimpleNamespace(figures={"r2": 1 - (mse_loss(guessed, true) / true.var()).item()}, images=360, broken=[])

    @classmethod
    @torch.no_grad()
    def predict(cls, trained, files, out, seen, *, batch, device):
        for path in files:
            image = inference_transform(trained.model, 32)(read_image(path, "L"))
            seen(path, f"slant {trained.model(image[None].to(device)).item():.2f}")
        return ""
