"""The learning rate of every update."""

from __future__ import annotations

from typing import Any

import torch
from timm.scheduler import CosineLRScheduler, MultiStepLRScheduler
from timm.scheduler.scheduler import Scheduler

from vig_pyg.tasks.recipe import Recipe


def learning_rates(optimizer: torch.optim.Optimizer, recipe: Recipe, updates: int) -> Scheduler:
    """Return the schedule of a recipe: a warm-up, then a cosine or steps, in updates of so many per epoch."""
    warmup = min(int(recipe.warmup_epochs * updates), recipe.epochs * updates - 2)
    start = recipe.warmup_learning_rate
    options: dict[str, Any] = {"warmup_t": max(0, warmup), "warmup_lr_init": start, "t_in_epochs": False}
    if recipe.decay_epochs:
        ends = [epoch * updates + 1 for epoch in recipe.decay_epochs]  # timm counts them from 1
        return MultiStepLRScheduler(optimizer, ends, 0.1, warmup_prefix=False, **options)
    left = max(2, recipe.epochs * updates - warmup)
    return CosineLRScheduler(optimizer, left, recipe.min_learning_rate, warmup_prefix=True, **options)
