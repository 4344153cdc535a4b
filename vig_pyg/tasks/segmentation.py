"""Semantic segmentation: the class of every pixel of an image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from accelerate.utils import send_to_device
from torch import Tensor, nn

from vig_pyg.data.images import LARGEST_IMAGE
from vig_pyg.data.masks import (
    IGNORE_INDEX,
    Masks,
    ResizeImage,
    SegmentationBatch,
    SegmentationData,
    crop_transform,
    load_segmentation_data,
)
from vig_pyg.data.scenes import SCENES
from vig_pyg.files import as_json
from vig_pyg.models.semantic_fpn import semantic_fpn
from vig_pyg.tasks import segment
from vig_pyg.tasks.accuracy import write_confusion
from vig_pyg.tasks.backbone import BackboneRecipe, BackboneTask, build_on_backbone, head_options
from vig_pyg.tasks.iou import Evaluation, evaluate
from vig_pyg.tasks.recipe import key
from vig_pyg.tasks.registry import register_task
from vig_pyg.tasks.results import Device, Epoch, OnBatch, Seen, Trained, Weights
from vig_pyg.tasks.weights import model_card, plugged, trained_on, write_weights


@dataclass
class SegmentationRecipe(BackboneRecipe):
    """How to train a model that segments."""

    task: str = "segment"
    data: str = SCENES
    """``digits-scenes``, a folder with ``images`` and ``masks``, or one in Pascal VOC's layout."""
    classes: int | None = key(None, 2, 10**6)
    """How many classes there are, where nothing names them."""
    image_size: int | None = key(None, 1, LARGEST_IMAGE)
    """Side of the training crops in pixels, and the shorter side of held-out images."""
    crop_scale: float = key(0.08, 0, 1, above=True)
    """The smallest part of an image that a crop shows."""
    label_smoothing: float = key(0.1, 0, 1)


@register_task("segment")
class Segmentation(BackboneTask):
    """Learns the class of every pixel by cross-entropy."""

    recipe_class = SegmentationRecipe
    verb, what = "Segments", "model that segments"

    @classmethod
    def default_recipe(cls, given: Mapping[str, Any]) -> str:
        """Return ``scenes_segment`` for the built-in scenes, else ``segment``."""
        return "scenes_segment" if given.get("data") in (None, SCENES) else "segment"

    @classmethod
    def title(cls, recipe: SegmentationRecipe) -> str:
        """Return the head and its backbone."""
        return f"semantic_fpn on {recipe.model}"

    @classmethod
    def load_data(cls, recipe: SegmentationRecipe) -> SegmentationData:
        """Return what :func:`~vig_pyg.segmentation.load_segmentation_data` returns."""
        return load_segmentation_data(recipe.data, recipe.data_root, recipe.classes)

    @classmethod
    def build_model(cls, recipe: SegmentationRecipe, data: SegmentationData) -> nn.Module:
        """Return what :func:`build_segmenter` returns."""
        return build_segmenter(recipe, len(data.classes))

    def example(self, model: nn.Module) -> list[Tensor]:
        """Return a black image."""
        side = self.recipe.image_size or 64
        return [torch.zeros(3, side, side)]

    def train_set(self, model: nn.Module) -> Masks:
        """Return random crops to train on; refuse, by a ValueError, a recipe that does not say how large they are."""
        recipe = self.recipe
        if recipe.image_size is None:
            raise ValueError(
                "segmentation needs image_size, the side of the training crops in pixels: add image_size=512"
            )
        crop = crop_transform(recipe.image_size, recipe.crop_scale, recipe.flip)
        return Masks(self.data.train, crop, stack=True)

    def test_set(self, model: nn.Module) -> Masks:
        """Return held-out images, their shorter side resized to ``image_size`` (None: as it is)."""
        return Masks(self.data.test, ResizeImage(self.recipe.image_size), stack=False)

    def loss(self, model: Callable[..., Any], batch: SegmentationBatch, device: torch.device) -> Tensor:
        """Return the mean cross-entropy over the pixels of a batch that have a class."""
        images, masks = send_to_device((batch.images, batch.masks), device, non_blocking=True)
        smoothing = self.recipe.label_smoothing
        losses = F.cross_entropy(
            model(images), masks, ignore_index=IGNORE_INDEX, label_smoothing=smoothing, reduction="none"
        )
        return losses.sum() / (masks != IGNORE_INDEX).sum().clamp(min=1)  # crops may show nothing that has a class

    def evaluate(
        self, model: nn.Module, batches: Iterable[SegmentationBatch], device: Device, on_batch: OnBatch = lambda _: None
    ) -> Evaluation:
        """Count the pixels of every class that were taken for every class."""
        return evaluate(model, batches, len(self.data.classes), device, on_batch)

    def save(self, model: nn.Module, weights: Weights, folder: Path, history: Sequence[Epoch]) -> None:
        """Write a model for :func:`~vig_pyg.segmentation.load_segmenter`."""
        save_segmenter(weights, folder, self.recipe, self.data, history)

    @classmethod
    def rebuild(cls, config: dict[str, Any], image_size: int | None) -> tuple[nn.Module, list[str]]:
        """Return the model of a configuration, and the names of its classes."""
        names = config["label_names"]
        return semantic_fpn(config["backbone"], len(names), **config["options"]), names

    @classmethod
    def evaluation_recipe(cls, trained: Trained, changes: Mapping[str, Any]) -> SegmentationRecipe:
        """Return a recipe for data of so many classes, at the size of the training unless another is given."""
        size = {"image_size": trained.config["image_size"]}
        return SegmentationRecipe(classes=len(trained.classes), **{**size, **changes})

    def report(self, found: Evaluation, out: Path) -> tuple[list[list[str]], str]:
        """Write intersection over union per class, and how many pixels of a class were taken for which, as CSV."""
        write_confusion(found.confusion, found.iou, self.data.classes, out, "pixels", "iou")
        shares = ("neither there nor guessed" if iou != iou else f"{100 * iou:.2f}" for iou in found.iou.tolist())
        return [["class", "IoU, %"], *map(list, zip(self.data.classes, shares, strict=True))], (
            f"mean IoU {100 * found.miou:.2f} %, {100 * found.pixel_accuracy:.2f} % of the pixels right, of "
            f"{found.images:,} images{f', {len(found.broken)} not counted' if found.broken else ''}. "
            f"Written to {out}: classes.csv, confusion.csv."
        )

    @classmethod
    def predict(
        cls, trained: Trained, files: Iterable[Path], out: Path | None, seen: Seen, *, batch: int, device: str
    ) -> str:
        """Write the class map of every image, and the image with the map laid over it, as PNG."""
        assert out is not None
        size = trained.config["image_size"]
        found = segment.segment(trained.model, files, image_size=size, batch=batch, device=device)
        return segment.write_maps(found, trained.classes, out, seen)


class Segmenter(NamedTuple):
    """A model with its weights, in evaluation mode, the names of its classes, and the shorter side of its images."""

    model: nn.Module
    classes: list[str]
    image_size: int | None


def build_segmenter(recipe: SegmentationRecipe, classes: int) -> nn.Module:
    """Return Semantic FPN for a recipe, as :func:`~vig_pyg.tasks.backbone.build_on_backbone` builds it."""
    return build_on_backbone(semantic_fpn, recipe, classes)


def save_segmenter(
    weights: Weights, folder: Path, recipe: SegmentationRecipe, data: SegmentationData, history: Sequence[Epoch]
) -> None:
    """Write a model for :func:`load_segmenter`: weights, configuration and a card."""
    config = {
        "task": "segment",
        "backbone": recipe.model,
        "label_names": data.classes,
        "options": head_options(recipe),
        "image_size": recipe.image_size,
    }
    miou, right = history[-1].measured.values()
    text = f"""# Semantic FPN on {recipe.model}, for {data.name}

Semantic FPN on {plugged(recipe)}, a graph neural network on images, {trained_on(recipe, data, history)}
Mean intersection over union on the {len(data.test)} held-out images: {100 * miou:.2f} %, of the pixels
{100 * right:.2f} % right.

```python
from vig_pyg.segmentation import load_segmenter

model, classes, image_size = load_segmenter("PATH/TO/THIS/FOLDER")
logits = model([image])  # of each [3, H, W] between 0 and 1: [{len(data.classes)}, H, W]
```
"""
    card = model_card("image-segmentation", text)
    write_weights(folder, weights, lambda path: path.write_text(as_json(config)), card)


def load_segmenter(weights: str | Path, trust: bool = False) -> Segmenter:
    """Return a model that :func:`save_segmenter` or a run wrote, as :func:`~vig_pyg.detection.load_detector`."""
    model, classes, config = Segmentation.load(weights, trust=trust)
    return Segmenter(model, classes, config["image_size"])
