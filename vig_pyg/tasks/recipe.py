"""Recipes: everything that says how a model is trained, each key with its type and range."""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from omegaconf import OmegaConf

from vig_pyg.data.images import LARGEST_IMAGE

PRECISIONS = ("no", "bf16", "fp16")


class Rule(NamedTuple):
    """What a key of a recipe may be: numbers (each of a list) from ``low`` to ``high``, or one of ``words``."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    """Whether ``low`` itself is too small."""
    words: tuple[str, ...] = ()

    def violation(self, value: Any) -> str | None:
        """Return what would be right, where the value is not."""
        if self.words and value not in self.words:
            return f"one of {', '.join(self.words)}"
        for number in value if isinstance(value, list) else [value]:
            right = not isinstance(number, int | float) or self.low < number <= self.high
            if right or (number == self.low and not self.above):
                continue
            if (self.low, self.high) == (0, 1):
                return "above 0 and at most 1" if self.above else "between 0 and 1"
            if number > self.high:
                return f"at most {self.high:g}"
            return f"above {self.low:g}" if self.above else f"at least {self.low:g}"
        return None


def key(default: Any, low: float = -math.inf, high: float = math.inf, **rule: Any) -> Any:
    """Return a field of a recipe with its rule."""
    metadata = {"rule": Rule(low, high, **rule)}
    if isinstance(default, list | dict):
        return field(default_factory=type(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class Recipe:
    """How to train: the keys of every task. Each task adds its own in a subclass.

    Raises:
        ValueError: a value has another type or is out of its range; the sentence names key and value, and says what
            would be right.
    """

    # What is trained on what.
    task: str = "classify"
    """A registered task: ``classify``, ``detect``, ``segment`` or one of yours; or ``module:Name``."""
    model: str = "vig_micro"
    """A name that timm knows."""
    conv: str | None = None
    """The operator of a model of ours; None is the model's own."""
    graph: str | None = None
    """The graph of a model of ours; None is the model's own."""
    graph_options: dict[str, Any] = key({})
    """Keywords of the graph."""
    model_options: dict[str, Any] = key({})
    """More keywords of the model, such as ``model_options.k=12``."""
    data: str = "digits"
    """A built-in data set, a folder, or a name for timm's ``create_dataset``; each task says which it takes."""
    data_root: str = "data"
    """The folder that timm's data sets are in, or are downloaded to."""
    init: str | None = None
    """Weights to start from: a file, or a folder that a run wrote."""
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
    """Instead of the cosine, the learning rate falls to a tenth after each of these epochs."""
    weight_decay: float = key(0.05, 0, 1000)
    """Not on biases, norms and positions."""
    layer_decay: float | None = key(None, 0, 1, above=True)
    """Factor of the learning rate from block to block, towards the stem."""
    clip_gradient: float | None = key(None, 0, above=True)
    """Largest norm of the gradient."""

    # Regularisation.
    drop_path: float | None = key(None, 0, 1)
    """Stochastic depth; None is the paper's: 0.3 for the base models, 0.1 for the others."""
    repeated_augmentation: int = key(1, 1, 1000)
    """An epoch shows every third image three times, say, differently augmented."""
    flip: float = key(0.5, 0, 1)
    """Probability of a horizontal flip."""
    ema_decay: float | None = key(None, 0, 1)
    """Of the exponential moving average of the weights, which is then evaluated and kept."""

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
        """Refuse values of another type or outside their range."""
        types = get_type_hints(type(self))
        for each in fields(self):
            check_type(each.name, getattr(self, each.name), types[each.name])
            check_range(each, getattr(self, each.name))
        rising = self.decay_epochs == sorted(set(self.decay_epochs))
        require(rising, "decay_epochs", self.decay_epochs, "a rising list")

    def check_used(self, changes: Container[str]) -> None:
        """Refuse, by a ValueError, a key that was given beside a file, in ``changes``, and has no effect."""

    @property
    def scaled_learning_rate(self) -> float:
        """The highest learning rate for this batch."""
        return self.learning_rate * self.batch / self.learning_rate_batch

    def save(self, path: Path) -> None:
        """Write all fields as YAML."""
        path.write_text(OmegaConf.to_yaml(OmegaConf.create(asdict(self))))


def rule_of(each: Field) -> Rule:
    """Return the rule of a field."""
    return each.metadata.get("rule", Rule())


def require(right: bool, name: str, value: Any, wanted: str) -> None:
    """Refuse a value that is not right, by a ValueError with the key, the value and what is wanted."""
    if not right:
        raise ValueError(f"{name} must be {wanted}, got {value!r}")


def check_type(name: str, value: Any, kind: Any) -> None:
    """Refuse a value of another type than ``kind``."""
    words = {int: "a whole number", float: "a finite number", str: "text", bool: "true or false", type(None): "null"}
    parts = [kind] if not get_args(kind) or get_origin(kind) is dict else get_args(kind)
    wanted = " or ".join(words.get(part, "a mapping") for part in parts)
    require(_is(value, kind), name, value, "a list of whole numbers" if get_origin(kind) is list else wanted)


def check_range(each: Field, value: Any) -> None:
    """Refuse a value that the field's rule excludes."""
    if each.name == "image_size" and value is not None and value > LARGEST_IMAGE:
        raise ValueError(f"image_size={value} needs {12 * value**2 / 1e9:,.0f} GB for a single image: lower it")
    wanted = None if value is None else rule_of(each).violation(value)
    require(wanted is None, each.name, value, wanted or "")


def _is(value: Any, kind: Any) -> bool:
    """Return whether a value has a type; whole numbers are floats too, numbers that are not finite are none."""
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_is(each, get_args(kind)[0]) for each in value)
    if get_origin(kind) is dict:
        return isinstance(value, dict)
    if get_args(kind):
        return any(_is(value, each) for each in get_args(kind))
    if kind is float:
        return _is(value, int) or (isinstance(value, float) and math.isfinite(value))
    return type(value) is kind
