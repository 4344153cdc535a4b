"""Detectors for a recipe, and how they are kept: weights in safetensors, a configuration and a card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from vig_pyg.detection.coco import Coco
from vig_pyg.detection.models import HEADS, Detector
from vig_pyg.train.recipe import Recipe
from vig_pyg.train.run import Epoch
from vig_pyg.train.weights import CONFIG, check_model_name, weights_file, write_weights


def build_detector(recipe: Recipe, classes: int) -> Detector:
    """Return the detector of a recipe, its backbone with the weights to start from.

    Raises:
        ValueError: timm knows no such backbone, an option does not fit, or the weights are of another model.
        FileNotFoundError: there are no weights to start from.
    """
    check_model_name(recipe.model)
    options = _options(recipe)
    options["backbone_options"]["drop_path_rate"] = 0.1 if recipe.drop_path is None else recipe.drop_path
    init = None if recipe.init is None else str(weights_file(recipe.init))
    frozen: dict[str, Any] = {"frozen_stages": recipe.frozen_stages, "frozen_norm": recipe.frozen_norm}
    try:
        return HEADS[recipe.head](recipe.model, classes, init=init, **frozen, **options)
    except TypeError as error:
        raise ValueError(f"{recipe.head} does not take these options: {error}") from None


def _options(recipe: Recipe) -> dict[str, Any]:
    """Return the keywords of a detector that count when it is used."""
    optional = {"conv": recipe.conv, "img_size": recipe.image_size}
    backbone = {key: value for key, value in optional.items() if value is not None} | recipe.model_options
    sizes = {"min_size": recipe.min_size, "max_size": recipe.max_size}
    return {**sizes, "backbone_options": backbone, **recipe.head_options}


def save_detector(
    weights: dict[str, Tensor], folder: Path, recipe: Recipe, data: Coco, history: Sequence[Epoch]
) -> None:
    """Write a detector for :func:`load_detector`: weights, configuration and a card."""
    config = {
        "task": "detect",
        "head": recipe.head,
        "backbone": recipe.model,
        "options": _options(recipe),
        "categories": [{"id": number, "name": name} for number, name in data.train.categories.items()],
    }
    text = json.dumps(config, indent=1) + "\n"
    write_weights(folder, weights, lambda path: path.write_text(text), _card(recipe, data, history))


def load_detector(weights: str | Path) -> tuple[Detector, dict[int, str]]:
    """Return a detector with its weights, in evaluation mode, and the names of its classes by COCO's numbers.

    Args:
        weights: A folder that :func:`save_detector` or a run wrote, or the file of weights in it.

    Raises:
        FileNotFoundError: there are no such weights.
        ValueError: they are not those of a detector.
    """
    file = weights_file(weights)
    path = file.with_name(CONFIG)
    config = json.loads(path.read_text()) if path.is_file() else {}
    if config.get("task") != "detect":
        raise ValueError(f"{file} holds no detector: there must be a {CONFIG} beside it that says which")
    categories = {entry["id"]: entry["name"] for entry in config["categories"]}
    model = HEADS[config["head"]](config["backbone"], len(categories), **config["options"])
    try:
        model.load_state_dict(load_file(file))
    except RuntimeError as error:
        raise ValueError(f"{file} does not fit its {CONFIG}: {str(error).splitlines()[-1].strip()}") from None
    return model.eval(), categories


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
from vig_pyg.detection.weights import load_detector

model, categories = load_detector("PATH/TO/THIS/FOLDER")
found = model([image])  # [3, H, W] from 0 to 1
```

The recipe, the versions and the command lie in the folder of the run; `vig-pyg train --recipe recipe.yaml` repeats it.
"""
