"""Detectors and models that segment: what is built on a backbone, by a recipe or from weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from vig_pyg.data.folders import distinct_images
from vig_pyg.models.names import check_model_name, is_ours
from vig_pyg.tasks.classifier import drop_path_rate, model_keywords
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.rules import key
from vig_pyg.tasks.task import Task
from vig_pyg.tasks.weights import weights_file

Model = TypeVar("Model", bound=nn.Module)


@dataclass
class BackboneRecipe(Recipe):
    """How to train what is built on a backbone."""

    head_options: dict[str, Any] = key({})
    """Keywords of the head, such as ``head_options.channels=64``, the width of its pyramid."""
    frozen_stages: int = key(0, 0, 100)
    """Stages of the backbone that are not trained."""
    frozen_norm: bool = False
    """Keep the batch norms of the backbone as they are."""


class BackboneTask(Task):
    """A task on a backbone: its predictions are a folder with a picture of every image."""

    @classmethod
    def place(cls, out: Path | None) -> Path:
        """Return a folder."""
        return Path("runs/predict") if out is None else out

    @classmethod
    def files(cls, places: Iterable[str | Path]) -> list[Path]:
        """Return image files, each of which can have a picture of its name."""
        return distinct_images(places)


def head_options(recipe: BackboneRecipe) -> dict[str, Any]:
    """Return the keywords of what is built on a backbone, those of the backbone among them."""
    return {"backbone_options": model_keywords(recipe), **recipe.head_options}


def build_on_backbone(
    build: Callable[..., Model], recipe: BackboneRecipe, classes: int, options: dict[str, Any] | None = None
) -> Model:
    """Return what is built on the model of a recipe, the backbone with the weights to start from.

    Args:
        build: From the backbone's name, the number of classes and keywords to the model.
        recipe: How to train.
        classes: How many classes there are.
        options: Further keywords.

    Raises:
        ValueError: timm knows no model of that name (the sentence names the nearest), an option does not fit, or the
            weights to start from are of another model.
        FileNotFoundError: there are no weights to start from.
    """
    check_model_name(recipe.model)
    fixed = {"num_classes", "init", "frozen_stages", "frozen_norm", *(options or {})}
    if said := fixed.intersection(recipe.head_options):
        raise ValueError(f"head_options.{min(said)} is no option of the head: the recipe or the data say it")
    keywords = {**(options or {}), **head_options(recipe)}
    if is_ours(recipe.model) or recipe.drop_path:  # not every other model knows stochastic depth
        keywords["backbone_options"].setdefault("drop_path_rate", drop_path_rate(recipe))
    init = None if recipe.init is None else str(weights_file(recipe.init))
    frozen: dict[str, Any] = {"frozen_stages": recipe.frozen_stages, "frozen_norm": recipe.frozen_norm}
    try:
        return build(recipe.model, classes, init=init, **frozen, **keywords)
    except (ValueError, FileNotFoundError):
        raise
    except Exception as error:  # whatever a constructor makes of an option that does not fit
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{build.__name__} does not take these options: {reason}") from None
