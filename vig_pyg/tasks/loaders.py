"""What loads the batches of a task."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from timm.data import create_transform
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from torch_geometric.data import Data

from vig_pyg.data.decoded import Images, collate, streamed
from vig_pyg.data.labeled import Memory
from vig_pyg.data.samplers import EpochSampler, OnceSampler
from vig_pyg.data.transforms import data_config, image_mode, inference_transform
from vig_pyg.tasks.recipe import Recipe


def loaders(
    data: Data, model: nn.Module, recipe: Recipe, device_batch: int, rank: int = 0, processes: int = 1
) -> tuple[DataLoader, DataLoader]:
    """Return what loads a process's batches for training and for testing.

    Crop, interpolation and normalization are those of the model's weights.

    Raises:
        ValueError: there are fewer images than the batch takes, or ``shift`` does not fit them.
    """
    train, test = data.train, data.test
    if isinstance(train, Memory):
        train = Memory(train.images, train.labels, recipe.shift)
    elif recipe.shift:
        raise ValueError(f"shift={recipe.shift} is for the built-in digits, not for {data.name}: add shift=0")
    else:
        train = _prepared(train, training_transform(model, recipe), image_mode(model))
        test = _prepared(test, inference_transform(model, recipe.image_size), image_mode(model))
    if isinstance(train, IterableDataset):
        _check_batch(recipe, len(train), data.name)  # type: ignore[arg-type]
        train.set_loader_cfg(recipe.workers)  # type: ignore[attr-defined]  # timm's, as all below
        options = _options(recipe)
        return DataLoader(train, device_batch, drop_last=True, collate_fn=collate, **options), _whole_shards(
            test, device_batch, rank
        )
    return sampled_loaders(train, test, data.name, recipe, device_batch, rank, processes)


def sampled_loaders(
    train: Any, test: Any, name: str, recipe: Recipe, device_batch: int, rank: int = 0, processes: int = 1
) -> tuple[DataLoader, DataLoader]:
    """Return what loads batches for training, as :class:`EpochSampler` draws, and every image once for testing.

    Args:
        train: Gives a batch for draws, by ``__getitems__``.
        test: The same.
        name: Of the data.
        recipe: Its batch, seed, repeats and workers.
        device_batch: Images of a batch.
        rank: This process.
        processes: How many there are.

    Raises:
        ValueError: there are fewer images than the batch takes.
    """
    _check_batch(recipe, len(train), name)
    options = _options(recipe) | {"collate_fn": as_it_is}
    repeats = recipe.repeated_augmentation
    drawn = EpochSampler(len(train), recipe.batch, device_batch, recipe.seed, repeats, rank, processes)
    once = OnceSampler(len(test), rank, processes)
    return DataLoader(train, device_batch, sampler=drawn, **options), DataLoader(
        test, device_batch, sampler=once, **options
    )


def _check_batch(recipe: Recipe, images: int, name: str) -> None:
    if images < recipe.batch:
        raise ValueError(f"batch={recipe.batch} is more than the {images} training images of {name}: lower it")


def _options(recipe: Recipe) -> dict[str, Any]:
    return {
        "num_workers": recipe.workers,
        "persistent_workers": recipe.workers > 0,
        "pin_memory": torch.cuda.is_available(),
    }


def held_out_batches(
    data: Data, model: nn.Module, batch: int, workers: int = 0, image_size: int | None = None
) -> DataLoader:
    """Return what loads every held-out image once, prepared as the model's weights want it."""
    test = data.test
    if not isinstance(test, Memory):
        test = _prepared(test, inference_transform(model, image_size), image_mode(model))
    if isinstance(test, IterableDataset):
        return _whole_shards(test, batch)
    options: dict[str, Any] = {"sampler": OnceSampler(len(test)), "collate_fn": as_it_is}
    return DataLoader(test, batch, num_workers=workers, **options)


def _whole_shards(test: Any, batch: int, rank: int = 0) -> DataLoader:
    """Return what loads all shards in the first process and nothing in the others: so every image counts once."""
    test.reader.dist_rank, test.reader.dist_num_replicas = 0, 1
    return DataLoader(test if rank == 0 else [], batch, collate_fn=collate)


def _prepared(part: Any, transform: Callable[[Any], Tensor], mode: str) -> Any:
    if isinstance(part, IterableDataset):
        part.transform = partial(streamed, transform=transform, mode=mode)  # type: ignore[attr-defined]
        return part
    return Images(part, transform, mode)


def as_it_is(batch: Any) -> Any:
    """Return a batch that its data set has put together."""
    return batch


def training_transform(model: nn.Module, recipe: Recipe) -> Callable[[Any], Tensor]:
    """Return how an image is augmented for a model, which crops before it resizes."""
    return create_transform(
        **{**data_config(model, recipe.image_size), "is_training": True},
        scale=(recipe.crop_scale, 1.0),
        hflip=recipe.flip,
        auto_augment=recipe.rand_augment,
        color_jitter=recipe.color_jitter,
        re_prob=recipe.random_erasing,
    )
