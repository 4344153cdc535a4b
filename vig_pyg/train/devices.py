"""Devices and processes: what accelerate takes, and how a batch is shared."""

from __future__ import annotations

import os

import torch
from accelerate import Accelerator

from vig_pyg.checks import check_kind, known_device
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.train.accelerate_internals import forget_settings


def accelerator_for(recipe: Recipe, device: str | None = None) -> Accelerator:
    """Return accelerate's view of devices and processes, in the recipe's precision; ``device="cpu"`` uses no GPU.

    Raises:
        ValueError: it would take another device than the one asked for, or its own settings say another precision.
    """
    check_kind("a Recipe", Recipe, recipe=recipe)
    configured = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")  # `accelerate launch` always sets it
    if configured not in ("no", recipe.precision):
        raise ValueError(
            f"accelerate is set to mixed_precision={configured}, but the recipe says precision={recipe.precision}: "
            "give both the same"
        )
    # A notebook may have trained in another precision or elsewhere before.
    forget_settings(processes=not torch.distributed.is_initialized())
    asked = None if device is None else known_device(device)
    if asked is not None and asked.type == "cuda" and asked.index is not None:
        torch.cuda.set_device(asked)  # accelerate takes the current one
    accelerator = Accelerator(cpu=asked is not None and asked.type == "cpu", mixed_precision=recipe.precision)
    taken = accelerator.device
    if recipe.precision == "fp16" and taken.type == "cpu":  # accelerate would compute in float32
        raise ValueError("precision=fp16 needs a GPU: on a CPU take bf16 or no")
    current = torch.cuda.current_device() if taken.type == "cuda" else 0
    number = current if taken.index is None else taken.index
    if asked is not None and (asked.type != taken.type or asked.index not in (None, number)):
        raise ValueError(f"device {device!r} was asked for, but accelerate takes {taken} in this process")
    return accelerator


def images_at_once(recipe: Recipe, processes: int) -> int:
    """Return how many images or graphs of a batch one process takes at once: the most that divide its share.

    Raises:
        ValueError: the processes cannot share the batch, or only in parts of less than half of ``device_batch``.
    """
    share, rest = divmod(recipe.batch, processes)
    if rest:
        raise ValueError(f"batch={recipe.batch} cannot be shared by {processes} processes: take a multiple of them")
    most = min(share, recipe.device_batch)
    at_once = next(n for n in range(most, 0, -1) if share % n == 0)
    if 2 * at_once < most:
        raise ValueError(
            f"batch={recipe.batch} divides into parts of {at_once}, far fewer than "
            f"device_batch={recipe.device_batch} allows: take a multiple of {recipe.device_batch * processes}"
        )
    return at_once
