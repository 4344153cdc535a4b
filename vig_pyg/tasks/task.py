"""What a task is: all that a training and the commands need to know of what is learned."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vig_pyg.data.folders import find_images
from vig_pyg.data.samplers import Draw
from vig_pyg.files import write_whole
from vig_pyg.registry import refuse_imports
from vig_pyg.tasks.loaders import test_loader, train_loader
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.results import Epoch, Measured, Trained
from vig_pyg.tasks.weights import CONFIG, plugged, weights_config, weights_file, with_weights, write_weights


class Task(ABC):
    """Something to learn: its recipe, data, model and loss, what is measured, and how a model is kept and used.

    A subclass that is registered by :func:`~vig_pyg.tasks.register_task` can be trained, resumed, evaluated and used
    for predictions by the commands. A batch is anything with ``broken``, the names of images that did not decode.

    Args:
        data: What :meth:`load_data` returns.
        recipe: How to train.
    """

    recipe_class: ClassVar[type[Recipe]] = Recipe
    """The keys of its recipes: :class:`~vig_pyg.tasks.Recipe` or a dataclass derived from it."""
    verb: ClassVar[str] = "Predicts"
    """What is done to images, for a sentence."""

    def __init__(self, data: Any, recipe: Any) -> None:
        self.data, self.recipe = data, recipe

    # What is set up from a recipe.

    @classmethod
    def default_recipe(cls, given: Mapping[str, Any]) -> str:
        """Return the recipe where the user names none.

        Args:
            given: The keys that the user gives.
        """
        raise ValueError(f"the task {given.get('task')} has no recipe of its own: name one with --recipe")

    @classmethod
    def title(cls, recipe: Any) -> str:
        """Return what is trained, in words."""
        return recipe.model

    @classmethod
    @abstractmethod
    def load_data(cls, recipe: Any) -> Any:
        """Return a data set with ``name``, ``train``, ``test`` and ``classes``.

        ``train`` and ``test`` have a length, and a batch for a list of :class:`~vig_pyg.data.samplers.Draw` by
        ``__getitems__``.
        """

    @classmethod
    @abstractmethod
    def build_model(cls, recipe: Any, data: Any) -> nn.Module:
        """Return the model of a recipe with its first weights.

        Args:
            recipe: How to train.
            data: Its ``classes`` count, and where images are not RGB its ``channels``; nothing else is known where a
                model is loaded.
        """

    @abstractmethod
    def example(self, model: nn.Module) -> Any:
        """Return what a model takes, as large as the images that it is trained on."""

    @torch.no_grad()
    def check_fits(self, model: nn.Module) -> None:
        """Show a model its :meth:`example`.

        Raises:
            ValueError: the model does not take it.
        """
        try:
            model.eval()(self.example(model))
        except ValueError:
            raise
        except Exception as error:  # whatever a layer makes of an image that does not fit
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ValueError(f"{self.recipe.model} does not take these images: {reason}") from error
        model.train()

    def check_data(self, model: nn.Module) -> None:
        """Load one image as the training will, so that data of which none can be used are refused before it begins.

        Raises:
            ValueError: too many images in a row cannot be used; names one.
        """
        dataset = self.train_loader(model, 1).dataset
        if hasattr(dataset, "__getitems__"):  # shards are only read in order
            dataset.__getitems__([Draw(0, 0)])

    # What a training does.

    @property
    def images(self) -> int:
        """Images to train on."""
        return len(self.data.train)

    def train_loader(self, model: nn.Module, device_batch: int, rank: int = 0, processes: int = 1) -> DataLoader:
        """Return what loads a process's batches for training."""
        return train_loader(self.data.train, self.data.name, self.recipe, device_batch, rank, processes)

    def test_loader(self, model: nn.Module, batch: int, rank: int = 0, processes: int = 1) -> DataLoader:
        """Return what loads a process's part of the held-out images, each once."""
        return test_loader(self.data.test, self.recipe.workers, batch, rank, processes)

    @abstractmethod
    def loss(self, model: Callable[..., Any], batch: Any, device: torch.device) -> Tensor:
        """Return the loss of a batch, which may still have to be moved to the device."""

    @abstractmethod
    def evaluate(
        self,
        model: nn.Module,
        batches: Iterable[Any],
        device: torch.device | str,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> Measured:
        """Measure a model on held-out images.

        Args:
            model: Is on the device.
            batches: What :meth:`test_loader` returned.
            device: Where to compute.
            on_batch: Called after every batch with its number of images.
        """

    # What is kept, and read again.

    def save(self, model: nn.Module, weights: dict[str, Tensor], folder: Path, history: Sequence[Epoch]) -> None:
        """Write a model for :meth:`load`, each file whole."""
        recipe, data, last = self.recipe, self.data, history[-1].measured
        known = {"classes": list(data.classes), "channels": getattr(data, "channels", 3)}
        config = json.dumps({"task": recipe.task, "recipe": asdict(recipe), **known}, indent=1) + "\n"
        figures = ", ".join(f"{name} {value:.4g}" for name, value in last.items())
        card = (
            f"# {self.title(recipe)} on {data.name}\n\n{recipe.model}{plugged(recipe)}, trained for {len(history)} of "
            f"{recipe.epochs} epochs from seed {recipe.seed}. On the held-out images: {figures}.\n"
        )
        write_weights(folder, weights, lambda path: path.write_text(config), card)

    @classmethod
    def load(
        cls, weights: str | Path, *, model: str | None = None, image_size: int | None = None, trust: bool = False
    ) -> Trained:
        """Return a model that :meth:`save` or a run wrote.

        Args:
            weights: A folder, or the file of weights in it.
            model: The name of the model, where the weights do not say it.
            image_size: Pixels of an image's shorter side, instead of what it was trained with.
            trust: Import what the configuration names as ``"module:Name"``.

        Raises:
            FileNotFoundError: there are no such weights.
            ValueError: they are damaged or of another task, or a module would have to be imported.
        """
        file = weights_file(weights)
        config = weights_config(file)
        if not trust:
            refuse_imports(config, file.with_name(CONFIG))
        if model is not None or image_size is not None:
            raise ValueError(
                f"{file} says which model it is of and how large its images are: leave out {model or image_size}"
            )
        try:
            recipe = cls.recipe_class(**{**config["recipe"], "init": None})
            known = SimpleNamespace(classes=config["classes"], channels=config["channels"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"{file.with_name(CONFIG)} is not what this task writes: {error}") from None
        return Trained(with_weights(cls.build_model(recipe, known), weights), known.classes, config)

    # What `vig-pyg eval` does.

    @classmethod
    def evaluation_recipe(cls, trained: Trained, changes: Mapping[str, Any]) -> Recipe:
        """Return a recipe that says which data a trained model is measured on.

        Args:
            trained: What :meth:`load` returned.
            changes: Keys that the user gives, of ``data``, ``data_root``, ``image_size`` and ``workers``.
        """
        return cls.recipe_class(**{**trained.config["recipe"], **changes})

    def check_classes(self, trained: Trained) -> None:
        """Refuse data with another number of classes than a trained model has."""
        if len(self.data.classes) != len(trained.classes):
            raise ValueError(
                f"the weights tell {len(trained.classes)} classes apart, but {self.data.name} has "
                f"{len(self.data.classes)}"
            )

    def report(self, found: Any, out: Path) -> tuple[list[list[str]], str]:
        """Write what was measured as tables and pictures into a folder.

        Returns:
            Rows for the screen, the titles first, and a sentence with figures and files.
        """
        rows = [["figure", "value"], *([name, f"{value:.4g}"] for name, value in found.figures.items())]
        text = json.dumps(found.figures, indent=1) + "\n"
        write_whole(out / "figures.json", lambda path: path.write_text(text))
        return rows, f"{found.images:,} images. Written to {out}: figures.json."

    # What `vig-pyg predict` does.

    @classmethod
    def place(cls, out: Path | None) -> Path | None:
        """Return where predictions are written to, None for nowhere.

        Raises:
            ValueError: it does not fit.
        """
        return out

    @classmethod
    def files(cls, places: Iterable[str | Path]) -> Iterable[Path]:
        """Return the image files that files, folders and patterns name."""
        return find_images(places)

    @classmethod
    @abstractmethod
    def predict(
        cls,
        trained: Trained,
        files: Iterable[Path],
        out: Path | None,
        seen: Callable[[Path, str], None],
        *,
        batch: int,
        device: str,
    ) -> str:
        """Predict for image files, in constant memory, and write and draw it.

        Further keywords are options of ``vig-pyg predict`` with a default.

        Args:
            trained: What :meth:`load` returned, on the device.
            files: What :meth:`files` returned.
            out: What :meth:`place` returned.
            seen: Called for every file with what it shows, in words.
            batch: Images at once.
            device: Where to compute.

        Returns:
            What was written, in words.
        """
