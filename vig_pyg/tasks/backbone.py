"""Detectors and models that segment: what is built on a backbone, by a recipe or from weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from vig_pyg.models.checkpoint import read_checkpoint
from vig_pyg.models.names import check_model_name, is_ours
from vig_pyg.registry import refuse_imports
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.rules import key
from vig_pyg.tasks.weights import CONFIG, drop_path_rate, model_keywords, weights_config, weights_file

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


def read_config(
    weights: str | Path, task: str, what: str, trust: bool = False, model: str | None = None
) -> dict[str, Any]:
    """Return the configuration beside weights.

    Args:
        weights: A folder that a run wrote, or the file of weights in it.
        task: What they must have been trained for.
        what: The same in words.
        trust: Whether an operator or a graph may be named as ``"module:Name"``, to be imported.
        model: What the user says that the backbone is, if anything.

    Raises:
        FileNotFoundError: there are no such weights.
        ValueError: they were trained for something else or on another backbone, or a module would have to be imported.
    """
    file = weights_file(weights)
    config = weights_config(file)
    if config.get("task") != task:
        raise ValueError(f"{file} holds no {what}: there must be a {CONFIG} beside it that says which")
    check_model_name(config["backbone"])
    if model not in (None, config["backbone"]):
        raise ValueError(f"{file} holds weights of a {what} on {config['backbone']}, not on {model}: leave out --model")
    if not trust:
        refuse_imports(config, file.with_name(CONFIG))
    return config


def with_weights(model: Model, weights: str | Path) -> Model:
    """Return a model with its weights, in evaluation mode.

    Raises:
        ValueError: they are damaged, or of another model.
    """
    file = weights_file(weights)
    try:
        model.load_state_dict(read_checkpoint(file))
    except RuntimeError as error:
        raise ValueError(f"{file} does not fit its {CONFIG}: {str(error).splitlines()[-1].strip()}") from None
    return model.eval()
