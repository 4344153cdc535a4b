"""Held-out images of a task, loaded in this process."""

from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from vig_pyg.tasks import Task


def held_out_batches(task: type[Task], data: Any, batch: int, model: nn.Module | None = None) -> DataLoader:
    """Return what loads every held-out image once."""
    return task(data, task.recipe_class(workers=0)).test_loader(model, batch)
