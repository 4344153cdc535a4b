"""Tasks by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from vig_pyg.checks import check_kind
from vig_pyg.registry import Registry, refuse_imports
from vig_pyg.tasks.task import Task
from vig_pyg.tasks.weights import CONFIG, weights_config, weights_file

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
        TypeError: ``task`` is no text, or what it names is no :class:`~vig_pyg.tasks.Task`.
    """
    check_kind("a name", str, task=task)
    found = TASKS.find(task)
    if not (isinstance(found, type) and issubclass(found, Task)):
        raise TypeError(f"the task {task!r} must be a subclass of vig_pyg.tasks.Task, got {found!r}")
    return found


def tasks_with(key: str) -> list[str]:
    """Return the registered tasks whose recipes have a key."""
    return [name for name in list_tasks() if key in get_task(name).recipe_class.__dataclass_fields__]


def task_of(weights: str | Path, trust: bool = False) -> str:
    """Return the task that weights were trained for, as the configuration beside them says it.

    Raises:
        FileNotFoundError: there are no such weights.
        ValueError: the configuration is damaged, names no task that there is, or a module would have to be imported.
    """
    file = weights_file(weights)
    config = weights_config(file)
    task = config.get("task", "classify")
    if not trust:
        refuse_imports({"task": task}, file.with_name(CONFIG))
    try:
        get_task(task)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file.with_name(CONFIG)}: {error}") from None
    return task
