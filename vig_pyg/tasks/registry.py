"""Tasks by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from vig_pyg.registry import Registry
from vig_pyg.tasks.task import Task

Registered = TypeVar("Registered", bound=type[Task])

TASKS: Registry = Registry("task", "task")


def register_task(name: str, *aliases: str) -> Callable[[Registered], Registered]:
    """Register the decorated :class:`~vig_pyg.tasks.Task` as ``task=name``.

    Raises:
        ValueError: the name is taken by something else.
    """
    return TASKS.register(name, *aliases)


def list_tasks() -> list[str]:
    """Return the names of all registered tasks."""
    return TASKS.names()


def get_task(task: str) -> type[Task]:
    """Return what a registered name or ``"module:Name"`` stands for.

    Raises:
        ValueError: no task has that name; the sentence lists the known ones and the nearest.
        TypeError: it is no :class:`~vig_pyg.tasks.Task`.
    """
    found = TASKS.find(task)
    if not (isinstance(found, type) and issubclass(found, Task)):
        raise TypeError(f"the task {task!r} must be a subclass of vig_pyg.tasks.Task, got {found!r}")
    return found


def tasks_with(key: str) -> list[str]:
    """Return the registered tasks whose recipes have a key."""
    return [name for name in list_tasks() if key in get_task(name).recipe_class.__dataclass_fields__]
