"""Recipes: everything that says how a model is trained, typed, in YAML."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from vig_pyg.checks import check_kind
from vig_pyg.data.images import LARGEST_IMAGE
from vig_pyg.tasks.rules import TASKS, check_range, check_type, key, require, rule_of

RECIPES = Path(__file__).with_name("recipes")
PRECISIONS = ("no", "bf16", "fp16")
HEADS = ("retinanet", "mask_rcnn")
CLASSIFY, DETECT, ON_A_BACKBONE = TASKS[:1], TASKS[1:2], TASKS[1:]
NOT_DETECT = ("classify", "segment")
RAND_AUGMENT = re.compile(
    r"(rand|augmix)(-m(10|\d)(\.\d+)?|-(mstd|inc|n|p|w|d|b|t)\d+(\.\d+)?)*|original|originalr|v0|v0r|3a"
)
NOT_OF_DIGITS = ("flip", "crop_scale", "rand_augment", "color_jitter", "random_erasing")  # they are only shifted


@dataclass
class Recipe:
    """How to train. Named recipes are in ``vig_pyg/tasks/recipes``; every key can be overridden by ``key=value``.

    Every key has a type and a range, and some are for certain tasks only.

    Raises:
        ValueError: a value has another type or is out of its range, or a key of another task is changed; the sentence
            names key and value, and says what would be right.
    """

    # What is trained on what.
    task: str = key("classify", words=TASKS)
    """``classify``, ``detect`` or ``segment``."""
    head: str = key("retinanet", words=HEADS, tasks=DETECT)
    """Of a detector, on the model as its backbone: ``retinanet`` or ``mask_rcnn``."""
    head_options: dict[str, Any] = key({}, tasks=ON_A_BACKBONE)
    """More keywords of the detector, such as ``head_options.channels=64``, the width of its pyramid and heads."""
    model: str = "vig_micro"
    """A name that timm knows."""
    conv: str | None = None
    """The operator of a model of ours; None is the model's own."""
    model_options: dict[str, Any] = key({})
    """More keywords of the model, such as ``model_options.k=12``."""
    data: str = "digits"
    """``digits``, an image folder, or a name for timm's ``create_dataset``; to detect, ``digits-scenes`` or a folder in
    COCO's layout."""
    data_root: str = "data"
    """Where timm's data sets lie or are downloaded to."""
    classes: int | None = key(None, 2, 10**6, tasks=NOT_DETECT)
    """How many classes there are, where the data does not say it, as shards do not."""
    init: str | None = None
    """Weights to start from: a file, or a folder that a run wrote."""
    image_size: int | None = key(None, 1, LARGEST_IMAGE, tasks=NOT_DETECT)
    """Side of the images in pixels; None is the model's own."""
    min_size: int = key(800, 1, LARGEST_IMAGE, tasks=DETECT)
    """Pixels of an image's shorter side for a detector."""
    max_size: int = key(1333, 1, 2 * LARGEST_IMAGE, tasks=DETECT)
    """Pixels of its longer side, at most."""
    seed: int = key(0, 0, 2**63 - 1)
    """Decides everything that is random."""

    # Optimization.
    epochs: int = key(300, 1, 10**6)
    batch: int = key(1024, 1, 10**7)
    """Images per update, over all devices."""
    device_batch: int = key(128, 1, 10**7)
    """At most so many images at once on one device; the rest of the batch accumulates."""
    optimizer: str = "adamw"
    """A name that timm knows."""
    learning_rate: float = key(1e-3, 0, 1000, above=True)
    """The highest, for ``learning_rate_batch`` images per update; it scales with ``batch``."""
    learning_rate_batch: int = key(1024, 1, 10**7)
    warmup_epochs: float = key(20.0, 0, 10**6)
    warmup_learning_rate: float = key(1e-6, 0, 1000)
    min_learning_rate: float = key(1e-5, 0, 1000)
    """The last of the cosine."""
    decay_epochs: list[int] = key([], 1, 10**6)
    """Instead of the cosine, the learning rate falls to a tenth behind each of these epochs."""
    weight_decay: float = key(0.05, 0, 1000)
    """Not on biases, norms and positions."""
    layer_decay: float | None = key(None, 0, 1, above=True)
    """Factor of the learning rate from block to block, towards the stem."""
    clip_gradient: float | None = key(None, 0, above=True)
    """Largest norm of the gradient."""

    frozen_stages: int = key(0, 0, 100, tasks=ON_A_BACKBONE)
    """Stages of a detector's backbone that are not trained."""
    frozen_norm: bool = key(False, tasks=ON_A_BACKBONE)
    """Keep the batch norms of a detector's backbone as they are."""

    # Regularisation.
    label_smoothing: float = key(0.1, 0, 1, tasks=NOT_DETECT)
    drop_path: float | None = key(None, 0, 1)
    """Stochastic depth; None is the paper's: 0.3 for the base models, 0.1 for the others."""
    repeated_augmentation: int = key(1, 1, 1000)
    """An epoch shows every third image three times, say, differently augmented."""
    rand_augment: str | None = key(None, tasks=CLASSIFY)
    """In timm's notation."""
    color_jitter: float = key(0.0, 0, 10, tasks=CLASSIFY)
    """Only without RandAugment."""
    flip: float = key(0.5, 0, 1)
    """Probability of a horizontal flip."""
    crop_scale: float = key(0.08, 0, 1, above=True, tasks=NOT_DETECT)
    """The smallest part of an image that a crop shows."""
    shift: int = key(0, 0, LARGEST_IMAGE, tasks=CLASSIFY)
    """Pixels by which built-in images are moved at most; they know no other augmentation."""
    mixup: float = key(0.0, 0, 1000, tasks=CLASSIFY)
    cutmix: float = key(0.0, 0, 1000, tasks=CLASSIFY)
    random_erasing: float = key(0.0, 0, 1, tasks=CLASSIFY)
    weight_averaging: float | None = key(None, 0, 1)
    """Decay of the exponential moving average of the weights, which is then evaluated and kept."""

    # The machine.
    precision: str = key("no", words=PRECISIONS)
    """``no`` (float32), ``bf16`` or ``fp16``."""
    gradient_checkpointing: bool = False
    compile: bool = False
    sync_batch_norm: bool = False
    """Take the statistics of batch norm over all processes."""
    workers: int = key(2, 0, 1024)
    """Processes that load images, for every training process."""
    broken_share: float = key(0.01, 0, 1)
    """Stop if a larger share of the training images does not decode."""
    checkpoint_minutes: float = key(10.0, 0, 10**6, above=True)
    """The state is written at least so often."""

    def __post_init__(self) -> None:
        """Refuse values of another type, outside their range, or for another task."""
        types = get_type_hints(Recipe)
        for each in fields(self):
            check_type(each.name, getattr(self, each.name), types[each.name])
            check_range(each, getattr(self, each.name))
        for each in fields(self):
            value = getattr(self, each.name)
            default = each.default if each.default_factory is MISSING else each.default_factory()
            if self.task not in rule_of(each).tasks and value != default:
                tasks = " or ".join(rule_of(each).tasks)
                raise ValueError(f"{each.name}={value!r} is for the task {tasks}, not for {self.task}")
        require(self.max_size >= self.min_size, "max_size", self.max_size, f"at least min_size={self.min_size}")
        known = self.rand_augment is None or RAND_AUGMENT.fullmatch(self.rand_augment) is not None
        require(known, "rand_augment", self.rand_augment, "in timm's notation, such as rand-m9-mstd0.5-inc1")
        side = self.image_size or 32
        require(self.shift < side, "shift", self.shift, f"less than the {side} pixels of an image's side")
        rising = self.decay_epochs == sorted(set(self.decay_epochs))
        require(rising, "decay_epochs", self.decay_epochs, "a rising list")

    @property
    def scaled_learning_rate(self) -> float:
        """The highest learning rate for this batch."""
        return self.learning_rate * self.batch / self.learning_rate_batch

    def save(self, path: Path) -> None:
        """Write all fields as YAML."""
        path.write_text(OmegaConf.to_yaml(OmegaConf.create(asdict(self))))


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
    check_kind("a name or a path", str | Path, name=name)
    path = RECIPES / f"{name}.yaml" if str(name) in list_recipes() else Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"there is no recipe {str(name)!r}: take {', '.join(list_recipes())} or a YAML file")
    try:
        written, changes = _read_yaml(path), _read_overrides(overrides)
        if isinstance(written, DictConfig) and changes.get("model") not in (None, written.get("model")):
            written.pop("model_options", None)
        for given in (written, changes):
            _check_as_given(given)
        recipe = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Recipe), written, changes))
        _refuse_unused(recipe, changes)  # type: ignore[arg-type]
        return recipe  # type: ignore[return-value]
    except ConfigKeyError as error:
        raise ValueError(_nearest_key(str(error.key))) from None
    except OmegaConfBaseException as error:
        name = f"{error.full_key}: " if getattr(error, "full_key", None) else ""
        raise ValueError(f"{name}{str(error).splitlines()[0]}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no recipe in YAML: it is no text") from None
    except ValueError:
        raise
    except Exception as error:  # what a YAML reader finds wrong
        raise ValueError(f"{path} is no recipe in YAML: {str(error).splitlines()[0]}") from None


def _refuse_unused(recipe: Recipe, changes: Iterable[Any]) -> None:
    """Refuse an override that changes nothing, also where it is the default."""
    for each in fields(Recipe):
        if each.name not in changes:
            continue
        if recipe.task not in rule_of(each).tasks:
            tasks = " or ".join(rule_of(each).tasks)
            raise ValueError(f"{each.name} is for the task {tasks}, not for {recipe.task}")
        if recipe.data == "digits" and each.name in NOT_OF_DIGITS and getattr(recipe, each.name):
            raise ValueError(f"{each.name} changes nothing: digits are only moved, by shift")
        if recipe.data != "digits" and each.name == "shift" and recipe.shift:
            raise ValueError(f"shift={recipe.shift} changes nothing: it is for the built-in digits")


def _check_as_given(given: Any) -> None:
    """Refuse numbers for what is true or false, which OmegaConf takes, and what is no list or mapping but should be."""
    values: Any = OmegaConf.to_container(given) if isinstance(given, DictConfig) else {}
    for name, kind in get_type_hints(Recipe).items():
        if name in values and (kind is bool or get_origin(kind) in (list, dict)):
            check_type(name, values[name], kind)


def _text_keys() -> dict[str, bool]:
    """Return the keys whose values are text, and whether they may be null."""
    types = get_type_hints(Recipe)
    optional = {name for name, kind in types.items() if str in get_args(kind) and get_origin(kind) is not dict}
    return {name: name in optional for name, kind in types.items() if kind is str or name in optional}


def _read_yaml(path: Path) -> Any:
    """Read a recipe. Text stays as it is written: ``data: 001`` names the folder 001, ``conv: no`` the operator no."""
    as_written = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    for name in as_written if isinstance(as_written, dict) else ():
        if name not in get_type_hints(Recipe):
            raise ValueError(_nearest_key(name))
    written = OmegaConf.load(path)
    if isinstance(written, DictConfig):
        for name in _text_keys():
            if isinstance(as_written.get(name), str) and written[name] is not None:
                written[name] = as_written[name]
    return written


def _read_overrides(overrides: Iterable[str]) -> DictConfig:
    """Read ``key=value`` words; of text, only ``null`` is something else than itself, where a key may be null."""
    changes, optional = OmegaConf.create(), _text_keys()
    for override in overrides:
        name, equals, value = override.partition("=")
        if not (name and equals):
            raise ValueError(f"{override!r} is no override: write key=value, such as epochs=10")
        if not value:
            raise ValueError(f"{name}= lacks a value")
        if name in optional:
            changes[name] = None if optional[name] and value == "null" else value
        else:
            changes.merge_with_dotlist([override])
    return changes


def _nearest_key(key: str) -> str:
    names = [field.name for field in fields(Recipe)]
    near = get_close_matches(key, names, 1, cutoff=0.4)
    return f"a recipe has no key {key!r}" + (f": did you mean {near[0]}?" if near else f"; it has {', '.join(names)}")
