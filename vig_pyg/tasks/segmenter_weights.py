"""Semantic FPN for a recipe, and its weights in a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from vig_pyg.data.masks import SegmentationData
from vig_pyg.models.semantic_fpn import semantic_fpn
from vig_pyg.tasks.backbone import build_on_backbone, head_options, read_config, with_weights
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.task import Epoch
from vig_pyg.tasks.weights import write_weights


class Segmenter(NamedTuple):
    """A model with its weights, in evaluation mode, the names of its classes, and the shorter side of its images."""

    model: nn.Module
    classes: list[str]
    image_size: int | None


def build_segmenter(recipe: Recipe, classes: int) -> nn.Module:
    """Return Semantic FPN for a recipe, as :func:`~vig_pyg.tasks.backbone.build_on_backbone` builds it."""
    return build_on_backbone(semantic_fpn, recipe, classes)


def save_segmenter(
    weights: dict[str, Tensor], folder: Path, recipe: Recipe, data: SegmentationData, history: Sequence[Epoch]
) -> None:
    """Write a model for :func:`load_segmenter`: weights, configuration and a card."""
    config = {"task": "segment", "backbone": recipe.model, "label_names": data.classes, "options": head_options(recipe)}
    text = json.dumps(config | {"image_size": recipe.image_size}, indent=1) + "\n"
    write_weights(folder, weights, lambda path: path.write_text(text), _card(recipe, data, history))


def load_segmenter(weights: str | Path, trust: bool = False) -> Segmenter:
    """Return a model that :func:`save_segmenter` or a run wrote.

    Args:
        weights: A folder, or the file of weights in it.
        trust: Import an operator that the configuration names as ``"module:Name"``.

    Raises:
        FileNotFoundError: there are no such weights.
        ValueError: they are not of Semantic FPN, are damaged, do not fit their configuration, or their operator would
            have to be imported.
    """
    config = read_config(weights, "segment", "model that segments", trust)
    names = config["label_names"]
    model = semantic_fpn(config["backbone"], len(names), **config["options"])
    return Segmenter(with_weights(model, weights), names, config["image_size"])


def _card(recipe: Recipe, data: SegmentationData, history: Sequence[Epoch]) -> str:
    """Return a model card in Markdown, with the header that model hubs read."""
    conv = f" with the operator `{recipe.conv}`" if recipe.conv else ""
    last = history[-1].measured
    return f"""---
tags: [image-segmentation, vig_pyg, graph-neural-network]
library_name: vig_pyg
---
# Semantic FPN on {recipe.model}, for {data.name}

Semantic FPN on {recipe.model}{conv}, a graph neural network on images, trained on {data.name}
({len(data.classes)} classes) for {len(history)} of {recipe.epochs} epochs from seed {recipe.seed}.
Mean intersection over union on the {len(data.test)} held-out images: {100 * last["miou"]:.2f} %, of the pixels
{100 * last["pixel_accuracy"]:.2f} % right.

```python
from vig_pyg.segmentation import load_segmenter

model, classes, image_size = load_segmenter("PATH/TO/THIS/FOLDER")
logits = model([image])  # of each [3, H, W] between 0 and 1: [{len(data.classes)}, H, W]
```

The recipe, the versions and the command lie in the folder of the run; `vig-pyg train --recipe recipe.yaml` repeats it.
"""
