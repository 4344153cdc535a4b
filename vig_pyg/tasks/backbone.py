"""Detectors and models that segment: what is built on a backbone, by a recipe or from weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from torch import nn

from vig_pyg.checks import refused
from vig_pyg.data.folders import distinct_images
from vig_pyg.models.names import check_model_name, is_ours
from vig_pyg.registry import refuse_imports
from vig_pyg.tasks.classifier import drop_path_rate, model_keywords
from vig_pyg.tasks.recipe import Recipe, key
from vig_pyg.tasks.results import Trained
from vig_pyg.tasks.task import Task
from vig_pyg.tasks.weights import CONFIG, weights_config, weights_file, with_weights

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

    what: ClassVar[str]
    """What is trained, for a sentence."""

    @classmethod
    @abstractmethod
    def rebuild(cls, config: dict[str, Any], image_size: int | None) -> tuple[nn.Module, list[str]]:
        """Return the model of a configuration, without its weights, and the names of its classes."""

    @classmethod
    def load(
        cls, weights: str | Path, *, model: str | None = None, image_size: int | None = None, trust: bool = False
    ) -> Trained:
        """Return a model that a run wrote, see :meth:`~vig_pyg.tasks.Task.load`; ``model`` may name the backbone."""
        file, what = weights_file(weights), cls.what
        config = weights_config(file)
        if config.get("task") != cls.recipe_class.task:
            raise ValueError(f"{file} holds no {what}: there must be a {CONFIG} beside it that says which")
        backbone = config["backbone"]
        check_model_name(backbone)
        if model not in (None, backbone):
            raise ValueError(f"{file} holds weights of a {what} on {backbone}, not on {model}: leave out --model")
        if not trust:
            refuse_imports(config, file.with_name(CONFIG))
        built, names = cls.rebuild(config, image_size)
        return Trained(with_weights(built, weights), names, config)

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


def build_on_backbone(build: Callable[..., Model], recipe: BackboneRecipe, classes: int, **options: Any) -> Model:
    """Return what is built on the model of a recipe, the backbone with the weights to start from.

    ``build`` is called with the backbone's name, the number of classes and keywords, ``options`` among them.

    Raises:
        ValueError, FileNotFoundError: as :func:`~vig_pyg.train.build_model`.
    """
    check_model_name(recipe.model)
    options |= {"frozen_stages": recipe.frozen_stages, "frozen_norm": recipe.frozen_norm}
    options["init"] = None if recipe.init is None else str(weights_file(recipe.init))
    if said := {"num_classes", *options}.intersection(recipe.head_options):
        raise ValueError(f"head_options.{min(said)} is no option of the head: the recipe or the data say it")
    options |= head_options(recipe)
    if is_ours(recipe.model) or recipe.drop_path:  # not every other model knows stochastic depth
        options["backbone_options"].setdefault("drop_path_rate", drop_path_rate(recipe))
    with refused(f"{build.__name__} does not take these options"):
        return build(recipe.model, classes, **options)
