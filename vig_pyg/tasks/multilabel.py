"""Classification of images that have any number of classes each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from accelerate.utils import send_to_device
from torch import Tensor, nn
from torchmetrics.classification import MultilabelAveragePrecision, MultilabelF1Score

from vig_pyg.data.decoded import LabeledBatch
from vig_pyg.data.images import read_batches, read_image
from vig_pyg.data.labeled import ClassificationData
from vig_pyg.data.multilabel import MultilabelImages, load_multilabel
from vig_pyg.data.transforms import image_mode, inference_transform
from vig_pyg.files import table_place, write_csv
from vig_pyg.tasks.classification import ImageRecipe, ImageTask
from vig_pyg.tasks.classifier import build_model
from vig_pyg.tasks.registry import register_task
from vig_pyg.tasks.results import Device, OnBatch, Seen, Trained

THRESHOLD = 0.5  # from this probability on, an image is said to have a class


class MultilabelEvaluation(NamedTuple):
    """Mean average precision over classes, F1 over all answers and its mean over classes; average precisions."""

    mean_ap: float
    f1: float
    macro_f1: float
    per_class: Tensor
    images: int
    broken: list[str]

    @property
    def figures(self) -> dict[str, float]:
        """Mean average precision and both F1."""
        return {"map": self.mean_ap, "f1": self.f1, "macro_f1": self.macro_f1}


@register_task("multilabel")
class Multilabel(ImageTask):
    r"""Learns which classes images show, by the binary cross-entropy of every class.

    .. math:: L = -\frac{1}{BC} \sum_{b,c} y_{bc} \log \sigma(z_{bc}) + (1 - y_{bc}) \log (1 - \sigma(z_{bc}))
    """

    recipe_class = ImageRecipe
    verb = "Classifies"

    @classmethod
    def default_recipe(cls, given: Mapping[str, Any]) -> str:
        """Return ``multilabel``."""
        return "multilabel"

    @classmethod
    def load_data(cls, recipe: ImageRecipe) -> ClassificationData:
        """Return what :func:`~vig_pyg.data.multilabel.load_multilabel` returns."""
        return load_multilabel(recipe.data, recipe.data_root)

    @classmethod
    def build_model(cls, recipe: ImageRecipe, data: ClassificationData) -> nn.Module:
        """Return what :func:`~vig_pyg.train.build_model` returns."""
        return build_model(recipe, len(data.classes), data.channels)

    def prepared(self, part: Any, transform: Callable[[Any], Tensor], model: nn.Module) -> MultilabelImages:
        """Return images with their rows of zeros and ones."""
        return MultilabelImages(part, transform, image_mode(model), len(self.data.classes))

    def loss(self, model: Callable[..., Any], batch: LabeledBatch, device: torch.device) -> Tensor:
        """Return the binary cross-entropy, a mean over images and classes."""
        images, labels = send_to_device((batch.images, batch.labels), device, non_blocking=True)
        return F.binary_cross_entropy_with_logits(model(images), labels)

    @torch.no_grad()
    def evaluate(
        self, model: nn.Module, batches: Iterable[LabeledBatch], device: Device, on_batch: OnBatch = lambda _: None
    ) -> MultilabelEvaluation:
        """Measure how well the classes of held-out images are told from others; with several processes, over all."""
        model.eval()
        classes, images, broken = len(self.data.classes), 0, []
        precision = MultilabelAveragePrecision(classes, average=None).to(device)
        f1, macro = (MultilabelF1Score(classes, THRESHOLD, kind).to(device) for kind in ("micro", "macro"))
        for batch in batches:
            broken += batch.broken
            there = batch.labels[:, 0] >= 0
            inputs, labels = send_to_device((batch.images, batch.labels), device, non_blocking=True)
            shares, truth = model(inputs).float().sigmoid()[there.to(device)], labels[there.to(device)].long()
            for metric in (precision, f1, macro) if len(truth) else ():
                metric.update(shares, truth)
            images += int(there.sum())
            on_batch(len(batch.labels))
        per_class = precision.compute().nan_to_num().cpu()
        mean_ap = per_class.mean().item()
        return MultilabelEvaluation(mean_ap, f1.compute().item(), macro.compute().item(), per_class, images, broken)

    def report(self, found: MultilabelEvaluation, out: Path) -> tuple[list[list[str]], str]:
        """Write the average precision of every class as CSV."""
        per_class = zip(self.data.classes, found.per_class.tolist(), strict=True)
        write_csv(out / "classes.csv", [("class", "average precision"), *per_class])
        rows = [["figure", "value"], *([name, f"{100 * value:.2f} %"] for name, value in found.figures.items())]
        return rows, f"{found.images:,} images. Written to {out}: classes.csv."

    @classmethod
    def place(cls, out: Path | None) -> Path | None:
        """Return a file for all predictions, which must end in ``.csv``, or None."""
        return table_place(out, ".csv")

    @classmethod
    @torch.no_grad()
    def predict(
        cls, trained: Trained, files: Iterable[Path], out: Path | None, seen: Seen, *, batch: int, device: str
    ) -> str:
        """Write the probability of every class for every file, as CSV; those above a half are what it shows."""
        model, classes, _ = trained
        transform, mode, rows = inference_transform(model), image_mode(model), []
        for chunk in read_batches(files, batch, lambda path: transform(read_image(path, mode))):
            readable = [image for _, image in chunk if isinstance(image, Tensor)]
            shares = iter(model.eval()(torch.stack(readable).to(device)).sigmoid().tolist() if readable else [])
            for path, image in chunk:
                if isinstance(image, Tensor):
                    known = dict(zip(classes, next(shares), strict=True))
                    rows.append([path, *known.values(), ""])
                    shown = [f"{name} {100 * share:.1f} %" for name, share in known.items() if share >= THRESHOLD]
                    seen(path, ", ".join(shown) or "none of the classes")
                else:
                    rows.append([path, *[""] * len(classes), image])
                    seen(path, f"does not decode: {image}")
        if out is None:
            return ""
        write_csv(out, [["file", *classes, "error"], *rows])
        return f"Written to {out}."
