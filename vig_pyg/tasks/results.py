"""What trainings and evaluations give, and whom they tell how far they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor, nn

Device: TypeAlias = torch.device | str
Weights: TypeAlias = dict[str, Tensor]
OnBatch: TypeAlias = Callable[[int], None]
"""Called after every batch with its number of images."""
Seen: TypeAlias = Callable[[Path, str], None]
"""Called for every file with what it shows, in words."""


class Epoch(NamedTuple):
    """What an epoch gave: the mean loss, what was measured on held-out images, and the share of time spent waiting."""

    loss: float
    measured: dict[str, float]
    learning_rate: float
    seconds: float
    waiting: float

    @property
    def score(self) -> float:
        """What the best model is chosen by: the first that was measured."""
        return next(iter(self.measured.values()))

    @property
    def accuracy(self) -> float:
        """Share of the held-out images that were classified correctly."""
        return self.measured["accuracy"]

    def row(self) -> dict[str, float]:
        """Return all figures by name."""
        return {"loss": self.loss, **self.measured, **dict(zip(self._fields[2:], self[2:], strict=True))}


class Trained(NamedTuple):
    """A model with its weights, in evaluation mode, the names of its classes, and what is kept beside the weights."""

    model: nn.Module
    classes: list[str]
    config: dict[str, Any]


class Measured(Protocol):
    """What was measured on held-out images."""

    @property
    def figures(self) -> dict[str, float]:
        """Figures by name; the first says which model is best, the higher the better."""

    @property
    def images(self) -> int:
        """How many images were measured."""

    @property
    def broken(self) -> list[str]:
        """The names of images that did not decode."""
