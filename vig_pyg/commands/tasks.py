"""What can be learned: how data, model and task of a recipe are made, in one place for all commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from vig_pyg.data.coco import Coco, load_coco
from vig_pyg.data.labeled import Data, Memory
from vig_pyg.data.scenes import SCENES
from vig_pyg.data.transforms import data_config
from vig_pyg.segmentation import Segmentation, SegmentationData, build_segmenter, load_segmentation_data
from vig_pyg.tasks.classification import Classification, load_recipe_data
from vig_pyg.tasks.detection import Detection
from vig_pyg.tasks.detector_weights import build_detector
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.task import Task
from vig_pyg.tasks.weights import CONFIG, build_model, weights_config, weights_file


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
    file = weights_file(weights)
    task = weights_config(file).get("task", "classify")
    if task not in [*KINDS]:  # a file may say anything
        raise ValueError(f"{file.with_name(CONFIG)} names the task {task!r}: it must be one of {', '.join(KINDS)}")
    return task


@torch.no_grad()
def check_fits(model: nn.Module, recipe: Recipe, data: Any) -> None:
    """Show a model one image as large as those that it will be trained on.

    Raises:
        ValueError: it does not take it.
    """
    if recipe.task == "classify":
        digits = isinstance(data.train, Memory)
        size = data.train.images.shape[1:] if digits else data_config(model, recipe.image_size)["input_size"]
        example: Any = torch.zeros(2, *size)
    else:
        side = recipe.min_size if recipe.task == "detect" else recipe.image_size or 64
        example = [torch.zeros(3, side, side)]
    try:
        model.eval()(example)
    except ValueError:
        raise
    except Exception as error:  # whatever a layer makes of an image that does not fit
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{recipe.model} does not take these images: {reason}") from error
    model.train()
