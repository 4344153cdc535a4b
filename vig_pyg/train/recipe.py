"""Recipes: everything that says how a model is trained, typed, in YAML."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

RECIPES = Path(__file__).with_name("recipes")
PRECISIONS = ("no", "bf16", "fp16")
TASKS = ("classify", "detect", "segment")
HEADS = ("retinanet", "mask_rcnn")


@dataclass
class Recipe:
    """How to train. Named recipes lie in ``vig_pyg/train/recipes``; every field can be overridden by ``key=value``."""

    # What is trained on what.
    task: str = "classify"
    """``classify``, ``detect`` or ``segment``."""
    head: str = "retinanet"
    """Of a detector, on the model as its backbone: ``retinanet`` or ``mask_rcnn``."""
    head_options: dict[str, Any] = field(default_factory=dict)
    """More keywords of the detector, such as ``head_options.channels=64``, the width of its pyramid and heads."""
    model: str = "vig_micro"
    """A name that timm knows."""
    conv: str | None = None
    """The operator of a model of ours; None is the model's own."""
    model_options: dict[str, Any] = field(default_factory=dict)
    """More keywords of the model, such as ``model_options.k=12``."""
    data: str = "digits"
    """``digits``, an image folder, or a name for timm's ``create_dataset``; to detect, ``digits-scenes`` or a folder in
    COCO's layout."""
    data_root: str = "data"
    """Where timm's data sets lie or are downloaded to."""
    classes: int | None = None
    """How many classes there are, where the data does not say it, as shards do not."""
    init: str | None = None
    """Weights to start from: a file, or a folder that a run wrote."""
    image_size: int | None = None
    """Side of the images in pixels; None is the model's own."""
    min_size: int = 800
    """Pixels of an image's shorter side for a detector."""
    max_size: int = 1333
    """Pixels of its longer side, at most."""
    seed: int = 0
    """Decides everything that is random."""

    # Optimisation.
    epochs: int = 300
    batch: int = 1024
    """Images per update, over all devices."""
    device_batch: int = 128
    """At most so many images at once on one device; the rest of the batch accumulates."""
    optimizer: str = "adamw"
    """A name that timm knows."""
    learning_rate: float = 1e-3
    """The highest, for ``learning_rate_batch`` images per update; it scales with ``batch``."""
    learning_rate_batch: int = 1024
    warmup_epochs: float = 20.0
    warmup_learning_rate: float = 1e-6
    min_learning_rate: float = 1e-5
    """The last of the cosine."""
    decay_epochs: list[int] = field(default_factory=list)
    """Instead of the cosine, the learning rate falls to a tenth behind each of these epochs."""
    weight_decay: float = 0.05
    """Not on biases, norms and positions."""
    layer_decay: float | None = None
    """Factor of the learning rate from block to block, towards the stem."""
    clip_gradient: float | None = None
    """Largest norm of the gradient."""

    frozen_stages: int = 0
    """Stages of a detector's backbone that are not trained."""
    frozen_norm: bool = False
    """Keep the batch norms of a detector's backbone as they are."""

    # Regularisation.
    label_smoothing: float = 0.1
    drop_path: float | None = None
    """Stochastic depth; None is the paper's: 0.3 for the base models, 0.1 for the others."""
    repeated_augmentation: int = 1
    """An epoch shows every third image three times, say, differently augmented."""
    rand_augment: str | None = None
    """In timm's notation."""
    color_jitter: float = 0.0
    """Only without RandAugment."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    crop_scale: float = 0.08
    """The smallest part of an image that a crop shows."""
    shift: int = 0
    """Pixels by which built-in images are moved at most; they know no other augmentation."""
    mixup: float = 0.0
    cutmix: float = 0.0
    random_erasing: float = 0.0
    weight_averaging: float | None = None
    """Decay of the exponential moving average of the weights, which is then evaluated and kept."""

    # The machine.
    precision: str = "no"
    """``no`` (float32), ``bf16`` or ``fp16``."""
    gradient_checkpointing: bool = False
    compile: bool = False
    sync_batch_norm: bool = False
    """Take the statistics of batch norm over all processes."""
    workers: int = 2
    """Processes that load images, for every training process."""
    broken_share: float = 0.01
    """Stop if a larger share of the training images does not decode."""
    checkpoint_minutes: float = 10.0
    """The state is written at least so often."""

    def __post_init__(self) -> None:
        """Refuse values outside their range.

        Raises:
            ValueError: names the field, the value and what would be right.
        """
        for name in (
            "epochs",
            "batch",
            "device_batch",
            "learning_rate_batch",
            "repeated_augmentation",
            "min_size",
        ):
            _check(self, name, getattr(self, name) >= 1, "at least 1")
        _check(self, "max_size", self.max_size >= self.min_size, f"at least min_size={self.min_size}")
        _check(self, "decay_epochs", self.decay_epochs == sorted(set(self.decay_epochs)), "a rising list")
        for name, words in (("task", TASKS), ("head", HEADS), ("precision", PRECISIONS)):
            _check(self, name, getattr(self, name) in words, f"one of {', '.join(words)}")
        for name in (
            "frozen_stages",
            "seed",
            "warmup_epochs",
            "workers",
            "shift",
            "mixup",
            "cutmix",
            "weight_decay",
            "color_jitter",
        ):
            _check(self, name, getattr(self, name) >= 0, "at least 0")
        for name in ("learning_rate", "checkpoint_minutes", "crop_scale"):
            _check(self, name, getattr(self, name) > 0, "above 0")
        for name in ("label_smoothing", "drop_path", "flip", "random_erasing", "weight_averaging", "broken_share"):
            value = getattr(self, name)
            _check(self, name, value is None or 0 <= value <= 1, "between 0 and 1")
        _check(self, "classes", self.classes is None or self.classes >= 2, "at least 2")
        _check(self, "image_size", self.image_size is None or self.image_size >= 1, "at least 1")

    @property
    def scaled_learning_rate(self) -> float:
        """The highest learning rate for this batch."""
        return self.learning_rate * self.batch / self.learning_rate_batch

    def save(self, path: Path) -> None:
        """Write all fields as YAML."""
        path.write_text(OmegaConf.to_yaml(OmegaConf.create(asdict(self))))


def _check(recipe: Recipe, name: str, right: bool, wanted: str) -> None:
    if not right:
        raise ValueError(f"{name} must be {wanted}, got {getattr(recipe, name)!r}")


def list_recipes() -> list[str]:
    """Return the names of the recipes that come with the library."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def read_recipe(name: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Return a recipe by name or from a YAML file, with ``key=value`` overrides.

    A recipe's ``model_options`` are its model's: they are left out where an override names another model.

    Raises:
        FileNotFoundError: there is neither a recipe nor a file of that name.
        ValueError: the file is no YAML mapping, a key is unknown (the sentence names the nearest), or a value does
            not fit.
    """
    path = RECIPES / f"{name}.yaml" if str(name) in list_recipes() else Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"there is no recipe {str(name)!r}: take {', '.join(list_recipes())} or a YAML file")
    overrides = list(overrides)
    for override in overrides:
        if "=" not in override:
            raise ValueError(f"{override!r} is no override: write key=value, such as epochs=10")
    try:
        written, changes = OmegaConf.load(path), OmegaConf.from_dotlist(overrides)
        if isinstance(written, DictConfig) and changes.get("model") not in (None, written.get("model")):
            written.pop("model_options", None)
        recipe = OmegaConf.merge(OmegaConf.structured(Recipe), written, changes)
        return OmegaConf.to_object(recipe)  # type: ignore[return-value]
    except ConfigKeyError as error:
        raise ValueError(_nearest_key(str(error.key))) from None
    except OmegaConfBaseException as error:
        key = f"{error.full_key}: " if getattr(error, "full_key", None) else ""
        raise ValueError(f"{key}{str(error).splitlines()[0]}") from None
    except ValueError:
        raise
    except Exception as error:  # what a YAML reader finds wrong
        raise ValueError(f"{path} is no recipe in YAML: {str(error).splitlines()[0]}") from None


def _nearest_key(key: str) -> str:
    names = [field.name for field in fields(Recipe)]
    near = get_close_matches(key, names, 1, cutoff=0.4)
    return f"a recipe has no key {key!r}" + (f": did you mean {near[0]}?" if near else f"; it has {', '.join(names)}")
