"""What loads the batches of a task."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader

from vig_pyg.data.samplers import EpochSampler, OnceSampler
from vig_pyg.tasks.recipe import Recipe


def train_loader(
    train: Any, name: str, recipe: Recipe, device_batch: int, rank: int = 0, processes: int = 1
) -> DataLoader:
    """Return what loads batches for training, as :class:`~vig_pyg.data.samplers.EpochSampler` draws.

    Args:
        train: Gives a batch for draws, by ``__getitems__``.
        name: Of the data.
        recipe: Its batch, seed, repeats and workers.
        device_batch: Images of a batch.
        rank: This process.
        processes: How many there are.

    Raises:
        ValueError: there are fewer images than the batch takes.
    """
    check_batch(recipe, len(train), name)
    repeats = recipe.repeated_augmentation
    drawn = EpochSampler(len(train), recipe.batch, device_batch, recipe.seed, repeats, rank, processes)
    return DataLoader(train, device_batch, sampler=drawn, collate_fn=as_it_is, **loading(recipe.workers))


def test_loader(test: Any, workers: int, batch: int, rank: int = 0, processes: int = 1) -> DataLoader:
    """Return what loads a process's part of held-out images, each once.

    Args:
        test: Gives a batch for draws, by ``__getitems__``.
        workers: Processes that load images.
        batch: Images of a batch.
        rank: This process.
        processes: How many there are.
    """
    once = OnceSampler(len(test), rank, processes)
    return DataLoader(test, batch, sampler=once, collate_fn=as_it_is, **loading(workers))


def check_batch(recipe: Recipe, images: int, name: str) -> None:
    """Refuse a batch of more images than there are."""
    if images < recipe.batch:
        raise ValueError(f"batch={recipe.batch} is more than the {images} training images of {name}: lower it")


def loading(workers: int) -> dict[str, Any]:
    """Return the keywords of a loader that say how its processes load."""
    return {
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "pin_memory": torch.cuda.is_available(),
    }


def as_it_is(batch: Any) -> Any:
    """Return a batch that its data set has put together."""
    return batch
