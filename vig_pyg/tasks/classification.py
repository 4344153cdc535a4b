"""Classification: the class of an image."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from accelerate.utils import send_to_device
from timm.data import Mixup, create_transform
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from vig_pyg.data.decoded import Images, LabeledBatch, streamed
from vig_pyg.data.images import LARGEST_IMAGE
from vig_pyg.data.labeled import ClassificationData, ImageTensorDataset, load_data
from vig_pyg.data.transforms import data_config, image_mode, inference_transform
from vig_pyg.files import table_place, write_whole
from vig_pyg.tasks import classify
from vig_pyg.tasks.accuracy import Evaluation, check_labels, draw_confusion, evaluate, write_confusion
from vig_pyg.tasks.classifier import build_model, load_trained, save_weights
from vig_pyg.tasks.distillation import Teacher, check_teacher, distilled, load_teacher, renormalize, train_both
from vig_pyg.tasks.recipe import Recipe, key, require
from vig_pyg.tasks.registry import register_task
from vig_pyg.tasks.results import Device, Epoch, OnBatch, Seen, Trained, Weights
from vig_pyg.tasks.task import Task

RAND_AUGMENT = re.compile(
    r"(rand|augmix)(-m(10|\d)(\.\d+)?|-(mstd|inc|n|p|w|d|b|t)\d+(\.\d+)?)*|original|originalr|v0|v0r|3a"
)
NOT_OF_DIGITS = ("flip", "crop_scale", "rand_augment", "color_jitter", "random_erasing")  # they are only shifted


@dataclass
class ImageRecipe(Recipe):
    """How to train on whole images: how they are augmented."""

    image_size: int | None = key(None, 1, LARGEST_IMAGE)
    """Side of the images in pixels; None is the model's own."""
    rand_augment: str | None = None
    """In timm's notation."""
    color_jitter: float = key(0.0, 0, 10)
    """Only without RandAugment."""
    crop_scale: float = key(0.08, 0, 1, above=True)
    """The smallest part of an image that a crop shows."""
    shift: int = key(0, 0, LARGEST_IMAGE)
    """Pixels by which built-in images are moved at most; they know no other augmentation."""
    random_erasing: float = key(0.0, 0, 1)

    def __post_init__(self) -> None:
        """Refuse what does not fit each other."""
        super().__post_init__()
        known = self.rand_augment is None or RAND_AUGMENT.fullmatch(self.rand_augment) is not None
        require(known, "rand_augment", self.rand_augment, "in timm's notation, such as rand-m9-mstd0.5-inc1")
        side = self.image_size or 32
        require(self.shift < side, "shift", self.shift, f"less than the {side} pixels of an image's side")


@dataclass
class ClassificationRecipe(ImageRecipe):
    """How to train a classifier."""

    classes: int | None = key(None, 2, 10**6)
    """How many classes there are, where the data does not say it, as shards do not."""
    label_smoothing: float = key(0.1, 0, 1)
    mixup: float = key(0.0, 0, 1000)
    cutmix: float = key(0.0, 0, 1000)
    teacher: str | None = None
    """A trained classifier whose guesses a second classifier of the model learns: a name of weights that timm knows
    (``regnety_160.deit_in1k``), or the folder of a run."""
    teacher_share: float = key(0.5, 0, 1, above=True)
    """Of the loss; the labels have the rest."""

    def check_used(self, changes: Container[str]) -> None:
        """Refuse augmentations that the data does not get."""
        for name in NOT_OF_DIGITS:
            if self.data == "digits" and name in changes and getattr(self, name):
                raise ValueError(f"{name} changes nothing: digits are only moved, by shift")
        if self.data != "digits" and "shift" in changes and self.shift:
            raise ValueError(f"shift={self.shift} changes nothing: it is for the built-in digits")
        if self.teacher is None and "teacher_share" in changes:
            raise ValueError("teacher_share changes nothing: there is no teacher")


class ImageTask(Task):
    """What all tasks on whole images share: how they are prepared and augmented."""

    def example(self, model: nn.Module) -> Tensor:
        """Return two black images."""
        train = self.data.train
        digits = isinstance(train, ImageTensorDataset)
        size = train.images.shape[1:] if digits else data_config(model, self.recipe.image_size)["input_size"]
        return torch.zeros(2, *size)

    def train_set(self, model: nn.Module) -> Any:
        """Return images, prepared as the model's weights want them; refuse, by a ValueError, a ``shift`` of others."""
        train, recipe = self.data.train, self.recipe
        if isinstance(train, ImageTensorDataset):
            return ImageTensorDataset(train.images, train.labels, recipe.shift)
        if recipe.shift:
            raise ValueError(f"shift={recipe.shift} is for the built-in digits, not for {self.data.name}: add shift=0")
        transform = create_transform(  # crops before it resizes
            **{**data_config(model, recipe.image_size), "is_training": True},
            scale=(recipe.crop_scale, 1.0),
            hflip=recipe.flip,
            auto_augment=recipe.rand_augment,
            color_jitter=recipe.color_jitter,
            re_prob=recipe.random_erasing,
        )
        return self.prepared(train, transform, model)

    def test_set(self, model: nn.Module) -> Any:
        """Return held-out images, prepared as the model's weights want it."""
        if isinstance(self.data.test, ImageTensorDataset):
            return self.data.test
        return self.prepared(self.data.test, inference_transform(model, self.recipe.image_size), model)

    def prepared(self, part: Any, transform: Callable[[Any], Tensor], model: nn.Module) -> Any:
        """Return images that are decoded and transformed when they are drawn."""
        mode = image_mode(model)
        if isinstance(part, IterableDataset):
            part.transform = partial(streamed, transform=transform, mode=mode)  # type: ignore[attr-defined]
            return part
        return Images(part, transform, mode)


@register_task("classify")
class Classification(ImageTask):
    """Learns the classes of images by cross-entropy, with the recipe's smoothing and mixing, and from its teacher.

    The teacher sees what the student does: the same mixed images, as large, but normalized as it knows them.
    """

    recipe_class = ClassificationRecipe
    verb = "Classifies"

    def __init__(self, data: ClassificationData, recipe: ClassificationRecipe) -> None:
        super().__init__(data, recipe)
        labels = {"label_smoothing": recipe.label_smoothing, "num_classes": len(data.classes)}
        mixes = recipe.mixup > 0 or recipe.cutmix > 0
        self.mixup = Mixup(recipe.mixup, recipe.cutmix, **labels) if mixes else None
        self.smoothing = 0.0 if mixes else recipe.label_smoothing  # mixing smooths by itself
        self.teacher: Teacher | None = None

    @classmethod
    def default_recipe(cls, given: Mapping[str, Any]) -> str:
        """Return ``digits`` for digits, ``finetune`` for weights to start from, else the paper's ``deit``."""
        init = given.get("init")
        data = given.get("data") or ("images" if init else "digits")
        return "digits" if data == "digits" else "finetune" if init else "deit"

    @classmethod
    def load_data(cls, recipe: ClassificationRecipe) -> ClassificationData:
        """Return what :func:`~vig_pyg.train.load_data` returns."""
        return load_data(recipe.data, recipe.image_size or 32, recipe.data_root, recipe.classes)

    @classmethod
    def build_model(cls, recipe: ClassificationRecipe, data: ClassificationData) -> nn.Module:
        """Return what :func:`~vig_pyg.train.build_model` returns."""
        return build_model(recipe, len(data.classes), data.channels)

    def prepare(self, model: nn.Module, device: torch.device) -> None:
        """Load the teacher, and have the model return what both of its classifiers say; without one, their mean.

        Raises:
            ValueError, FileNotFoundError: the model has one classifier, or the teacher does not fit.
        """
        recipe, data = self.recipe, self.data
        train_both(model, recipe.teacher is not None, recipe.model)
        if recipe.teacher is None:
            return
        taught = load_teacher(recipe.teacher, data.classes, data.channels)
        digits = isinstance(data.train, ImageTensorDataset)  # they are as they are for all models
        students = data_config(model, recipe.image_size)
        self.teacher = Teacher(taught, nn.Identity() if digits else renormalize(students, data_config(taught)))
        check_teacher(self.teacher, recipe.teacher, self.example(model), len(data.classes))
        self.teacher.to(device)

    def loss(self, model: Callable[..., Any], batch: LabeledBatch, device: torch.device) -> Tensor:
        """Return the cross-entropy of a batch; refuse, by a ValueError, labels that are no class."""
        check_labels(batch, len(self.data.classes))
        images, labels = send_to_device((batch.images, batch.labels), device, non_blocking=True)
        if self.mixup is not None:
            images, labels = self.mixup(images, labels)
        logits, recipe = model(images), self.recipe
        if recipe.teacher is None:
            return F.cross_entropy(logits, labels, label_smoothing=self.smoothing)
        if self.teacher is None or not isinstance(logits, tuple):
            raise ValueError(f"{recipe.model} must have two classifiers to learn from a teacher: prepare(…) first")
        loss = F.cross_entropy(logits[0], labels, label_smoothing=self.smoothing)
        return distilled(loss, logits[1], self.teacher(images), recipe.teacher_share)

    def evaluate(
        self, model: nn.Module, batches: Iterable[LabeledBatch], device: Device, on_batch: OnBatch = lambda _: None
    ) -> Evaluation:
        """Count the held-out images whose class is the best guess, and among the best five."""
        return evaluate(model, batches, len(self.data.classes), device, on_batch)

    def save(self, model: nn.Module, weights: Weights, folder: Path, history: Sequence[Epoch]) -> None:
        """Write a model in timm's layout."""
        save_weights(model, weights, folder, self.recipe, self.data, history)

    @classmethod
    def load(
        cls, weights: str | Path, *, model: str | None = None, image_size: int | None = None, trust: bool = False
    ) -> Trained:
        """Return what :func:`~vig_pyg.train.load_model` returns."""
        return load_trained(weights, model, trust)

    @classmethod
    def evaluation_recipe(cls, trained: Trained, changes: Mapping[str, Any]) -> Recipe:
        """Return a recipe for data of so many classes; without ``data``, digits."""
        return ClassificationRecipe(**{"data": "digits", **changes, "classes": len(trained.classes)})

    def report(self, found: Evaluation, out: Path) -> tuple[list[list[str]], str]:
        """Write accuracy per class and the confusion matrix, as CSV and as a picture."""
        classes = self.data.classes
        write_confusion(found.confusion, found.per_class, classes, out, "images", "accuracy")
        write_whole(out / "confusion.png", lambda path: draw_confusion(path, found, classes))
        return [], (
            f"top-1 {100 * found.top1:.2f} %, top-5 {100 * found.top5:.2f} % of {found.images:,} images"
            f"{f', {len(found.broken)} not counted' if found.broken else ''}. "
            f"Written to {out}: classes.csv, confusion.csv, confusion.png."
        )

    @classmethod
    def place(cls, out: Path | None) -> Path | None:
        """Return a file for all predictions, which must end in ``.csv`` or ``.jsonl``, or None."""
        return table_place(out, ".csv", ".jsonl")

    @classmethod
    def predict(
        cls,
        trained: Trained,
        files: Iterable[Path],
        out: Path | None,
        seen: Seen,
        *,
        batch: int,
        device: str,
        top: int = 5,
    ) -> str:
        """Write the ``top`` best guesses for every file, as CSV or JSON lines."""
        model, classes, _ = trained
        top = min(top, len(classes))
        transform = inference_transform(model)
        found = classify.predict(model, classes, files, transform, top=top, batch=batch, device=device)
        return classify.write_predictions(found, out, top, seen)


def held_out_images(data: ClassificationData, recipe: Recipe, model: nn.Module, count: int) -> Tensor:
    """Return the first held-out images as a model takes them, ``[count, C, H, W]``."""
    task = Classification(data, replace(recipe, workers=0))  # type: ignore[arg-type]
    return next(iter(task.test_loader(model, count))).images
