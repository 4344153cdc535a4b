"""What a training loop needs to know of what is learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader


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


class Task(ABC):
    """Something to learn: how batches are loaded, what the loss is, what is measured, how a model is kept.

    A batch is anything with ``broken``, the names of images that did not decode.
    """

    @property
    @abstractmethod
    def images(self) -> int:
        """Images to train on."""

    @abstractmethod
    def loaders(
        self, model: nn.Module, device_batch: int, rank: int = 0, processes: int = 1
    ) -> tuple[DataLoader, DataLoader]:
        """Return what loads a process's batches for training and for testing."""

    @abstractmethod
    def loss(self, model: Callable[..., Any], batch: Any, device: torch.device) -> Tensor:
        """Return the loss of a batch, which may still have to be moved to the device."""

    @abstractmethod
    def evaluate(self, model: nn.Module, batches: Iterable[Any], device: torch.device) -> dict[str, float]:
        """Measure a model on held-out images; the first figure says which model is best, the higher the better."""

    @abstractmethod
    def save(self, model: nn.Module, weights: dict[str, Tensor], folder: Path, history: Sequence[Epoch]) -> None:
        """Write a model for later use, each file whole."""
