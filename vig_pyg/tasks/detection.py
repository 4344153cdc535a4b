"""Detection: the boxes, classes and masks of the objects in an image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import send_to_device
from torch import Tensor, nn

from vig_pyg.data.coco import Coco, DetectionBatch, Objects, load_coco
from vig_pyg.data.images import LARGEST_IMAGE
from vig_pyg.data.scenes import SCENES
from vig_pyg.files import as_json, write_csv
from vig_pyg.models.detectors import HEADS, Detector
from vig_pyg.tasks import detect
from vig_pyg.tasks.average_precision import AveragePrecision, as_rows, evaluate
from vig_pyg.tasks.backbone import BackboneRecipe, BackboneTask, build_on_backbone, head_options
from vig_pyg.tasks.recipe import key, require
from vig_pyg.tasks.registry import register_task
from vig_pyg.tasks.results import Device, Epoch, OnBatch, Seen, Trained, Weights
from vig_pyg.tasks.weights import model_card, plugged, trained_on, write_weights


@dataclass
class DetectionRecipe(BackboneRecipe):
    """How to train a detector."""

    task: str = "detect"
    data: str = SCENES
    """``digits-scenes`` or a folder in COCO's layout."""
    head: str = key("retinanet", words=tuple(HEADS))
    """The detector, on the model as its backbone: ``retinanet`` or ``mask_rcnn``."""
    min_size: int = key(800, 1, LARGEST_IMAGE)
    """Pixels of an image's shorter side."""
    max_size: int = key(1333, 1, 2 * LARGEST_IMAGE)
    """Pixels of its longer side, at most."""

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit each other."""
        super().__post_init__()
        require(self.max_size >= self.min_size, "max_size", self.max_size, f"at least min_size={self.min_size}")


@register_task("detect")
class Detection(BackboneTask):
    """Learns to find objects, by the sum of the detector's own losses."""

    recipe_class = DetectionRecipe
    verb, what = "Looks for objects in", "detector"

    @classmethod
    def default_recipe(cls, given: Mapping[str, Any]) -> str:
        """Return ``scenes`` or ``scenes_masks`` for the built-in scenes, else the paper's ``coco_1x``."""
        if given.get("data") not in (None, SCENES):
            return "coco_1x"
        return "scenes_masks" if given.get("head") == "mask_rcnn" else "scenes"

    @classmethod
    def title(cls, recipe: DetectionRecipe) -> str:
        """Return the detector and its backbone."""
        return f"{recipe.head} on {recipe.model}"

    @classmethod
    def load_data(cls, recipe: DetectionRecipe) -> Coco:
        """Return what :func:`~vig_pyg.detection.load_coco` returns."""
        return load_coco(recipe.data, recipe.data_root, masks=recipe.head == "mask_rcnn")

    @classmethod
    def build_model(cls, recipe: DetectionRecipe, data: Coco) -> Detector:
        """Return what :func:`build_detector` returns."""
        return build_detector(recipe, len(data.classes))

    def example(self, model: nn.Module) -> list[Tensor]:
        """Return a black image."""
        return [torch.zeros(3, self.recipe.min_size, self.recipe.min_size)]

    def train_set(self, model: nn.Module) -> Objects:
        """Return images to train on, flipped as the recipe says."""
        return Objects(self.data.train, self.recipe.flip)

    def test_set(self, model: nn.Module) -> Objects:
        """Return held-out images."""
        return Objects(self.data.test)

    def loss(self, model: Callable[..., Any], batch: DetectionBatch, device: torch.device) -> Tensor:
        """Return the sum of the losses of a batch."""
        images, targets = send_to_device((batch.images, batch.targets), device, non_blocking=True)
        return torch.stack(list(model(images, targets).values())).sum()

    def evaluate(
        self, model: nn.Module, batches: Iterable[DetectionBatch], device: Device, on_batch: OnBatch = lambda _: None
    ) -> AveragePrecision:
        """Return COCO's twelve figures for boxes and, with Mask R-CNN, for masks."""
        return evaluate(model, batches, len(self.data.classes), device, on_batch)  # type: ignore[arg-type]

    def save(self, model: nn.Module, weights: Weights, folder: Path, history: Sequence[Epoch]) -> None:
        """Write a detector with its configuration and a card."""
        save_detector(weights, folder, self.recipe, self.data, history)

    @classmethod
    def rebuild(cls, config: dict[str, Any], image_size: int | None) -> tuple[Detector, list[str]]:
        """Return the detector of a configuration, and the names of its classes."""
        categories, options = _categories(config), config["options"]
        if image_size is not None:
            longest = round(options["max_size"] * image_size / options["min_size"])
            options |= {"min_size": image_size, "max_size": longest}
        detector = HEADS[config["head"]](config["backbone"], len(categories), **options)
        return detector, list(categories.values())

    @classmethod
    def evaluation_recipe(cls, trained: Trained, changes: Mapping[str, Any]) -> DetectionRecipe:
        """Return a recipe for data with masks where the detector finds them; its sizes are the detector's."""
        kept = {name: value for name, value in changes.items() if name != "image_size"}
        return DetectionRecipe(head=trained.config["head"], **kept)

    def check_classes(self, trained: Trained) -> None:
        """Refuse other classes than the detector's."""
        if self.data.train.categories != _categories(trained.config):
            raise ValueError(
                f"the weights find {len(trained.classes)} classes, and those of {self.data.name} are others"
            )

    def report(self, found: AveragePrecision, out: Path) -> tuple[list[list[str]], str]:
        """Write COCO's figures as JSON and the AP of every class as CSV."""
        write_csv(out / "classes.csv", [("class", "box_ap"), *zip(self.data.classes, found.per_class, strict=True)])
        return as_rows(found), f"{super().report(found, out)[1][:-1]}, classes.csv."

    @classmethod
    def predict(
        cls,
        trained: Trained,
        files: Iterable[Path],
        out: Path | None,
        seen: Seen,
        *,
        batch: int,
        device: str,
        score: float = 0.5,
    ) -> str:
        """Write what is found in COCO's result format, and a picture of each image with objects of at least ``score``.

        Images are numbered by their files' names where all of these are numbers, as COCO's are, else by their place.
        """
        assert out is not None
        categories = _categories(trained.config)
        found = detect.predict(trained.model, files, batch=batch, device=device)  # type: ignore[arg-type]
        return detect.write_predictions(found, list(files), categories, out, score, seen)


def build_detector(recipe: DetectionRecipe, classes: int) -> Detector:
    """Return the detector of a recipe, as :func:`~vig_pyg.tasks.backbone.build_on_backbone` builds it."""
    return build_on_backbone(HEADS[recipe.head], recipe, classes, **_sizes(recipe))


def save_detector(
    weights: Weights, folder: Path, recipe: DetectionRecipe, data: Coco, history: Sequence[Epoch]
) -> None:
    """Write a detector for :func:`load_detector`: weights, configuration and a card."""
    config = {
        "task": "detect",
        "head": recipe.head,
        "backbone": recipe.model,
        "options": {**_sizes(recipe), **head_options(recipe)},
        "categories": [{"id": number, "name": name} for number, name in data.train.categories.items()],
    }
    figures = ", ".join(f"{name} {100 * value:.1f}" for name, value in history[-1].measured.items() if value >= 0)
    text = f"""# {recipe.head} with {recipe.model} on {data.name}

{plugged(recipe)}, a graph neural network on images, as the backbone of {recipe.head},
{trained_on(recipe, data, history)}
COCO's figures on the {len(data.test)} held-out images, in percent: {figures}.

```python
from vig_pyg.detection import load_detector

model, categories = load_detector("PATH/TO/THIS/FOLDER")
found = model([image])  # [3, H, W] from 0 to 1
```
"""
    card = model_card("object-detection", text)
    write_weights(folder, weights, lambda path: path.write_text(as_json(config)), card)


def load_detector(
    weights: str | Path, image_size: int | None = None, trust: bool = False
) -> tuple[Detector, dict[int, str]]:
    """Return a detector with its weights, in evaluation mode, and the names of its classes by COCO's numbers.

    Args:
        weights: A folder that :func:`save_detector` or a run wrote, or the file of weights in it.
        image_size: Pixels of an image's shorter side after resizing, instead of what it was trained with; the longest
            side allowed changes with it.
        trust: Import what the configuration names as ``"module:Name"``.

    Raises:
        FileNotFoundError: there are no such weights.
        ValueError: they are not those of a detector, are damaged, or a module would have to be imported.
    """
    trained = Detection.load(weights, image_size=image_size, trust=trust)
    return trained.model, _categories(trained.config)  # type: ignore[return-value]


def _sizes(recipe: DetectionRecipe) -> dict[str, int]:
    return {"min_size": recipe.min_size, "max_size": recipe.max_size}


def _categories(config: Mapping[str, Any]) -> dict[int, str]:
    return {entry["id"]: entry["name"] for entry in config["categories"]}
