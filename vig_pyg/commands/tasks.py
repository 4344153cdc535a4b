"""What can be learnt: how data, model and task of a recipe are made, in one place for all commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from vig_pyg.detection.coco import Coco, load_coco
from vig_pyg.detection.scenes import SCENES
from vig_pyg.detection.task import Detection
from vig_pyg.detection.weights import build_detector
from vig_pyg.segmentation import Segmentation, SegmentationData, build_segmenter, load_segmentation_data
from vig_pyg.train.classification import Classification
from vig_pyg.train.data import Data, load_recipe_data
from vig_pyg.train.recipe import Recipe
from vig_pyg.train.task import Task
from vig_pyg.train.weights import build_model, weights_config, weights_file


class Kind(NamedTuple):
    """How one kind of task is set up from a recipe; its data has ``name``, ``classes``, ``train`` and ``test``.

    ``recipe`` names the recipe where the user names none, by the options that are given: ``data``, ``init``, ``head``.
    """

    load_data: Callable[[Recipe], Any]
    build_model: Callable[[Recipe, Any], nn.Module]
    task: Callable[[Any, Recipe], Task]
    recipe: Callable[[dict[str, Any]], str]


def _classifier(recipe: Recipe, data: Data) -> nn.Module:
    return build_model(recipe, len(data.classes), data.channels)


def _classification_recipe(options: dict[str, Any]) -> str:
    data = options["data"] or ("images" if options["init"] else "digits")
    return "digits" if data == "digits" else "finetune" if options["init"] else "deit"


def _objects(recipe: Recipe) -> Coco:
    return load_coco(recipe.data, recipe.data_root, masks=recipe.head == "mask_rcnn")


def _detector(recipe: Recipe, data: Coco) -> nn.Module:
    return build_detector(recipe, len(data.classes))


def _detection_recipe(options: dict[str, Any]) -> str:
    if options["data"] not in (None, SCENES):
        return "coco_1x"
    return "scenes_masks" if options["head"] == "mask_rcnn" else "scenes"


def _masks(recipe: Recipe) -> SegmentationData:
    return load_segmentation_data(recipe.data, recipe.data_root, recipe.classes)


def _segmenter(recipe: Recipe, data: SegmentationData) -> nn.Module:
    return build_segmenter(recipe, len(data.classes))


def _segmentation_recipe(options: dict[str, Any]) -> str:
    return "scenes_segment" if options["data"] in (None, SCENES) else "segment"


KINDS = {
    "classify": Kind(load_recipe_data, _classifier, Classification, _classification_recipe),
    "detect": Kind(_objects, _detector, Detection, _detection_recipe),
    "segment": Kind(_masks, _segmenter, Segmentation, _segmentation_recipe),
}


def kind_of(task: str) -> Kind:
    """Return how a task is set up.

    Raises:
        ValueError: there is no such task.
    """
    if task not in KINDS:
        raise ValueError(f"task must be one of {', '.join(KINDS)}, got {task!r}")
    return KINDS[task]


def task_of(weights: Path) -> str:
    """Return the task that weights were trained for, as the configuration beside them says it.

    Raises:
        FileNotFoundError: there are no such weights.
        ValueError: the configuration is damaged.
    """
    return weights_config(weights_file(weights)).get("task", "classify")
