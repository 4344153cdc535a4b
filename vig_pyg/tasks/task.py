"""What a task is: all that a training and the commands need to know of what is learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from vig_pyg.checks import refused
from vig_pyg.data.decoded import collate
from vig_pyg.data.folders import find_images
from vig_pyg.data.samplers import Draw, EpochSampler, OnceSampler
from vig_pyg.files import as_json, write_text
from vig_pyg.registry import refuse_imports
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.results import Device, Epoch, Measured, OnBatch, Seen, Trained, Weights
from vig_pyg.tasks.weights import CONFIG, plugged, weights_config, weights_file, with_weights, write_weights


class Task(ABC):
    """Something to learn: its recipe, data, model and loss, what is measured, and how a model is kept and used.

    A subclass that is registered by :func:`~vig_pyg.tasks.register_task` can be trained, resumed, evaluated and used
    for predictions by the commands. It is made of what :meth:`load_data` returns and of a recipe. A batch is anything
    with ``broken``, the names of images that did not decode.
    """

    recipe_class: ClassVar[type[Recipe]] = Recipe
    """The keys of its recipes: :class:`~vig_pyg.tasks.Recipe` or a dataclass derived from it."""
    verb: ClassVar[str] = "Predicts"
    """What is done to images, for a sentence."""
    noun: ClassVar[str] = "image"
    """What the data are made of, one of them, for sentences and tables."""

    def __init__(self, data: Any, recipe: Any) -> None:
        self.data, self.recipe = data, recipe

    # What is set up from a recipe.

    @classmethod
    def knows(cls, data: str) -> bool:
        """Return whether this task, and no other, is what these data are for, so that ``--task`` need not say it."""
        return False

    @classmethod
    def default_recipe(cls, given: Mapping[str, Any]) -> str:
        """Return the recipe where the user names none but gives some keys."""
        raise ValueError(f"the task {given.get('task')} has no recipe of its own: name one with --recipe")

    @classmethod
    def title(cls, recipe: Any) -> str:
        """Return what is trained, in words."""
        return recipe.model

    @classmethod
    @abstractmethod
    def load_data(cls, recipe: Any) -> Any:
        """Return a data set: its ``name``, ``classes``, and ``train`` and ``test`` as in :meth:`train_set`."""

    @classmethod
    @abstractmethod
    def build_model(cls, recipe: Any, data: Any) -> nn.Module:
        """Return the model of a recipe with its first weights.

        Of the data, ``classes`` count, and where images are not RGB ``channels``: where a model is loaded, nothing else
        is known.
        """

    @abstractmethod
    def example(self, model: nn.Module) -> Any:
        """Return what a model takes, as large as the images that it is trained on."""

    @torch.no_grad()
    def check_fits(self, model: nn.Module) -> None:
        """Refuse, by a ValueError, a model that does not take its :meth:`example`."""
        with refused(f"{self.recipe.model} does not take these {self.noun}s"):
            model.eval()(self.example(model))
        model.train()

    def check_data(self, model: nn.Module) -> None:
        """Load one image as the training will, so that it does not begin where a ValueError names unusable ones."""
        dataset = self.train_loader(model, 1).dataset
        if hasattr(dataset, "__getitems__"):  # shards are only read in order
            dataset.__getitems__([Draw(0, 0)])

    # What a training does.

    @property
    def images(self) -> int:
        """Images to train on."""
        return len(self.data.train)

    def train_set(self, model: nn.Module) -> Any:
        """Return images to train on, prepared and augmented for a model.

        They have a length, and a batch for a list of :class:`~vig_pyg.data.samplers.Draw` by ``__getitems__``; or are
        shards that timm reads in order.
        """
        return self.data.train

    def test_set(self, model: nn.Module) -> Any:
        """Return held-out images, prepared for a model, as :meth:`train_set`."""
        return self.data.test

    def train_loader(self, model: nn.Module, device_batch: int, rank: int = 0, processes: int = 1) -> DataLoader:
        """Return what loads a process's batches for training.

        Raises:
            ValueError: there are fewer images than the batch takes, or the recipe does not fit them.
        """
        train, recipe = self.train_set(model), self.recipe
        images, options = len(train), _loading(recipe)
        if images < recipe.batch:
            raise ValueError(
                f"batch={recipe.batch} is more than the {images} training {self.noun}s of {self.data.name}: lower it"
            )
        if isinstance(train, IterableDataset):
            train.set_loader_cfg(recipe.workers)  # type: ignore[attr-defined]  # timm's
            return DataLoader(train, device_batch, drop_last=True, collate_fn=collate, **options)
        repeats = recipe.repeated_augmentation
        drawn = EpochSampler(images, recipe.batch, device_batch, recipe.seed, repeats, rank, processes)
        return DataLoader(train, device_batch, sampler=drawn, collate_fn=as_it_is, **options)

    def test_loader(self, model: nn.Module, batch: int, rank: int = 0, processes: int = 1) -> DataLoader:
        """Return what loads a process's part of the held-out images, each once."""
        test = self.test_set(model)
        if isinstance(test, IterableDataset):  # all shards in the first process: so every image counts once
            test.reader.dist_rank, test.reader.dist_num_replicas = 0, 1  # type: ignore[attr-defined]  # timm's
            return DataLoader(test if rank == 0 else [], batch, collate_fn=collate)  # type: ignore[arg-type]
        once = OnceSampler(len(test), rank, processes)
        return DataLoader(test, batch, sampler=once, collate_fn=as_it_is, **_loading(self.recipe))

    def prepare(self, model: nn.Module, device: torch.device) -> None:  # noqa: B027  # most need nothing
        """Make ready, once before a training, what :meth:`loss` needs of a model and on a device."""

    @abstractmethod
    def loss(self, model: Callable[..., Any], batch: Any, device: torch.device) -> Tensor:
        """Return the loss of a batch, which may still have to be moved to the device."""

    @abstractmethod
    def evaluate(
        self, model: nn.Module, batches: Iterable[Any], device: Device, on_batch: OnBatch = lambda _: None
    ) -> Measured:
        """Measure a model that is on the device on held-out images, in the batches of :meth:`test_loader`."""

    # What is kept, and read again.

    def save(self, model: nn.Module, weights: Weights, folder: Path, history: Sequence[Epoch]) -> None:
        """Write a model for :meth:`load`, each file whole."""
        recipe, data, last = self.recipe, self.data, history[-1].measured
        known = {"classes": list(data.classes), "channels": getattr(data, "channels", 3)}
        config = as_json({"task": recipe.task, "recipe": asdict(recipe), **known})
        figures = ", ".join(f"{name} {value:.4g}" for name, value in last.items())
        card = (
            f"# {self.title(recipe)} on {data.name}\n\n{plugged(recipe)}, trained for {len(history)} of "
            f"{recipe.epochs} epochs from seed {recipe.seed}. On the held-out {self.noun}s: {figures}.\n"
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

        The user may give ``data``, ``data_root``, ``image_size`` and ``workers``.
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

        Return rows for the screen, the titles first, and a sentence with figures and files.
        """
        rows = [["figure", "value"], *([name, f"{value:.4g}"] for name, value in found.figures.items())]
        write_text(out / "figures.json", as_json(found.figures))
        return rows, f"{found.images:,} {self.noun}s. Written to {out}: figures.json."

    # What `vig-pyg predict` does.

    @classmethod
    def place(cls, out: Path | None) -> Path | None:
        """Return where predictions are written to, None for nowhere; refuse, by a ValueError, what does not fit."""
        return out

    @classmethod
    def files(cls, places: Iterable[str | Path]) -> Iterable[Path]:
        """Return the image files that files, folders and patterns name."""
        return find_images(places)

    @classmethod
    @abstractmethod
    def predict(
        cls, trained: Trained, files: Iterable[Path], out: Path | None, seen: Seen, *, batch: int, device: str
    ) -> str:
        """Predict for image files, in constant memory, and write and draw it; return what was written, in words.

        Further keywords are options of ``vig-pyg predict`` with a default.

        Args:
            trained: What :meth:`load` returned, its model on the device.
            files, out: What :meth:`files` and :meth:`place` returned.
            seen: Called for every file with what it shows, in words.
            batch: Images at once.
            device: Where to compute.
        """


def _loading(recipe: Recipe) -> dict[str, Any]:
    """Return the keywords of a loader that say how its processes load."""
    workers = recipe.workers
    return {"num_workers": workers, "persistent_workers": workers > 0, "pin_memory": torch.cuda.is_available()}


def as_it_is(batch: Any) -> Any:
    """Return a batch that its data set has put together."""
    return batch
