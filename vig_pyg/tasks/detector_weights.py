"""Detectors for a recipe, and how they are kept: weights in safetensors, a configuration and a card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from vig_pyg.data.coco import Coco
from vig_pyg.models.detectors import HEADS, Detector
from vig_pyg.tasks.backbone import build_on_backbone, head_options, read_config, with_weights
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.task import Epoch
from vig_pyg.tasks.weights import write_weights


def build_detector(recipe: Recipe, classes: int) -> Detector:
    """Return the detector of a recipe, as :func:`~vig_pyg.tasks.backbone.build_on_backbone` builds it."""
    return build_on_backbone(HEADS[recipe.head], recipe, classes, _sizes(recipe))


def _sizes(recipe: Recipe) -> dict[str, int]:
    return {"min_size": recipe.min_size, "max_size": recipe.max_size}


def save_detector(
    weights: dict[str, Tensor], folder: Path, recipe: Recipe, data: Coco, history: Sequence[Epoch]
) -> None:
    """Write a detector for :func:`load_detector`: weights, configuration and a card."""
    config = {
        "task": "detect",
        "head": recipe.head,
        "backbone": recipe.model,
        "options": {**_sizes(recipe), **head_options(recipe)},
        "categories": [{"id": number, "name": name} for number, name in data.train.categories.items()],
    }
    text = json.dumps(config, indent=1) + "\n"
    write_weights(folder, weights, lambda path: path.write_text(text), _card(recipe, data, history))


def load_detector(
    weights: str | Path, image_size: int | None = None, trust: bool = False
) -> tuple[Detector, dict[int, str]]:
    """Return a detector with its weights, in evaluation mode, and the names of its classes by COCO's numbers.

    Args:
        weights: A folder that :func:`save_detector` or a run wrote, or the file of weights in it.
        image_size: Pixels of an image's shorter side after resizing, instead of what it was trained with; the longest
            side allowed changes with it.
        trust: Import an operator that the configuration names as ``"module:Name"``.

    Raises:
        FileNotFoundError: there are no such weights.
        ValueError: they are not those of a detector, are damaged, or their operator would have to be imported.
    """
    config = read_config(weights, "detect", "detector", trust)
    categories = {entry["id"]: entry["name"] for entry in config["categories"]}
    options = config["options"]
    if image_size is not None:
        longest = round(options["max_size"] * image_size / options["min_size"])
        options |= {"min_size": image_size, "max_size": longest}
    model = HEADS[config["head"]](config["backbone"], len(categories), **options)
    return with_weights(model, weights), categories


def _card(recipe: Recipe, data: Coco, history: Sequence[Epoch]) -> str:
    """Return a model card in Markdown, with the header that model hubs read."""
    conv = f" with the operator `{recipe.conv}`" if recipe.conv else ""
    figures = ", ".join(f"{name} {100 * value:.1f}" for name, value in history[-1].measured.items() if value >= 0)
    return f"""---
tags: [object-detection, vig_pyg, graph-neural-network]
library_name: vig_pyg
---
# {recipe.head} with {recipe.model} on {data.name}

{recipe.model}{conv}, a graph neural network on images, as the backbone of {recipe.head}, trained on {data.name}
({len(data.classes)} classes) for {len(history)} of {recipe.epochs} epochs from seed {recipe.seed}.
COCO's figures on the {len(data.test)} held-out images, in percent: {figures}.

```python
from vig_pyg.tasks.detector_weights import load_detector

model, categories = load_detector("PATH/TO/THIS/FOLDER")
found = model([image])  # [3, H, W] from 0 to 1
```

The recipe, the versions and the command lie in the folder of the run; `vig-pyg train --recipe recipe.yaml` repeats it.
"""
