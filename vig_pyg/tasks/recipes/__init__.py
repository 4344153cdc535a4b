"""The recipes that come with the library, as the YAML files in this folder, and how any recipe is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from vig_pyg.checks import check_flags, check_kind
from vig_pyg.registry import nearest, refuse_imports
from vig_pyg.tasks.recipe import Recipe, check_type
from vig_pyg.tasks.registry import get_task, tasks_with

RECIPES = Path(__file__).parent


def list_recipes() -> list[str]:
    """Return the names of the recipes that come with the library."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def read_recipe(name: str | Path, overrides: Iterable[str] = (), trust: bool = False) -> Recipe:
    """Return a recipe by name or from a YAML file, with ``key=value`` overrides.

    Its class is that of its task. A recipe's ``model_options`` are its model's: they are left out where an override
    names another model. A file that begins with ``like: NAME`` changes the recipe of that name.

    Args:
        name: A recipe that comes with the library, or a file.
        overrides: Words ``key=value``.
        trust: Let the file name an operator, a graph or a task as ``"module:Name"``, to be imported.

    Raises:
        FileNotFoundError: there is neither a recipe nor a file of that name.
        ValueError: the file is no YAML mapping, a key is unknown (the sentence names the nearest) or is one of another
            task, a value does not fit, or a module would have to be imported.
    """
    check_kind("a name or a path", str | Path, name=name)
    check_kind("words key=value", Iterable, overrides=overrides)
    check_flags(trust=trust)
    path = RECIPES / f"{name}.yaml" if str(name) in list_recipes() else Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"there is no recipe {str(name)!r}: take {', '.join(list_recipes())} or a YAML file")
    changes = dict(_split(override) for override in overrides)
    try:
        as_written = read_keys(path, as_text=True)
        if not trust:
            refuse_imports(as_written, f"the recipe {name}", changes.values())
        task = changes.get("task") or as_written.get("task") or Recipe.task
        return _read(path, as_written, changes, task)
    except ConfigKeyError as error:
        raise ValueError(_unknown(str(error.key), task)) from None
    except OmegaConfBaseException as error:
        key = f"{error.full_key}: " if getattr(error, "full_key", None) else ""
        raise ValueError(f"{key}{str(error).splitlines()[0]}") from None
    except (ValueError, TypeError):
        raise
    except Exception as error:  # what a YAML reader finds wrong
        raise ValueError(f"{path} is no recipe in YAML: {str(error).splitlines()[0]}") from None


def _split(override: str) -> tuple[str, str]:
    check_kind("text", str, override=override)
    name, equals, value = override.partition("=")
    if not (name and equals):
        raise ValueError(f"{override!r} is no override: write key=value, such as epochs=10")
    if not value:
        raise ValueError(f"{name}= lacks a value")
    return name, value


def _read(path: Path, as_written: dict[str, Any], changes: Mapping[str, str], task: str) -> Recipe:
    recipe_class = get_task(task).recipe_class
    types = get_type_hints(recipe_class)
    for name in as_written:
        if name not in types:
            raise ValueError(_unknown(name, task))
    written, overrides = _from_yaml(path, as_written, types), _from_words(changes, types)
    if overrides.get("model") not in (None, written.get("model")):
        written.pop("model_options", None)
    # OmegaConf would take numbers for what is true or false, and other things for lists and mappings.
    for given in (written, overrides):
        values: Any = OmegaConf.to_container(given)
        for name, kind in types.items():
            if name in values and (kind is bool or get_origin(kind) in (list, dict)):
                check_type(name, values[name], kind)
    merged = OmegaConf.merge(OmegaConf.structured(recipe_class), {"task": task}, written, overrides)
    recipe: Recipe = OmegaConf.to_object(merged)  # type: ignore[assignment]
    recipe.check_used(changes)
    return recipe


def _text_keys(types: Mapping[str, Any]) -> dict[str, bool]:
    """Return the keys whose values are text, and whether they may be null."""
    return {name: kind is not str for name, kind in types.items() if kind in (str, str | None)}


def _from_yaml(path: Path, as_written: Mapping[str, Any], types: Mapping[str, Any]) -> DictConfig:
    """Read a file. Text stays as it is written: ``data: 001`` names the folder 001, ``conv: no`` the operator no."""
    written = OmegaConf.create(read_keys(path))
    for name in _text_keys(types):
        if isinstance(as_written.get(name), str) and written[name] is not None:
            written[name] = as_written[name]
    return written


def _from_words(changes: Mapping[str, str], types: Mapping[str, Any]) -> DictConfig:
    """Read overrides; of text, only ``null`` is something else than itself, where a key may be null."""
    overrides, optional = OmegaConf.create(), _text_keys(types)
    for name, value in changes.items():
        if name in optional:
            overrides[name] = None if optional[name] and value == "null" else value
        else:
            overrides.merge_with_dotlist([f"{name}={value}"])
    return overrides


def _unknown(key: str, task: str) -> str:
    """Say that a recipe has no such key, and which task or key may be meant."""
    names = list(get_task(task).recipe_class.__dataclass_fields__)
    if key not in names and (tasks := tasks_with(key)):
        return f"{key} is for the task {' or '.join(tasks)}, not for {task}"
    return f"a recipe has no key {key!r}{nearest(key, names) or '; it has ' + ', '.join(names)}"


def read_keys(path: Path, as_text: bool = False) -> dict[str, Any]:
    """Return the keys and values of a recipe, as text or typed, with those of the one that it is ``like``.

    Raises:
        ValueError: it is no YAML mapping, or like none that comes with the library.
    """
    content: Any
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, Loader=yaml.BaseLoader) if as_text else OmegaConf.to_container(OmegaConf.load(path))
    except Exception as error:  # whatever a reader makes of a file that is no YAML
        reason = "it is no text" if isinstance(error, UnicodeDecodeError) else str(error).splitlines()[0]
        raise ValueError(f"{path} is no recipe in YAML: {reason}") from None
    if content not in (None, "") and not isinstance(content, dict):
        raise ValueError(f"{path} is no recipe in YAML: it holds no keys with values")
    if not content or "like" not in content:
        return content or {}
    if (like := content.pop("like")) not in list_recipes():
        raise ValueError(f"{path} is like no recipe: like must be {', '.join(list_recipes())}, got {like!r}")
    base = read_keys(RECIPES / f"{like}.yaml", as_text)
    if content.get("model") not in (None, base.get("model")):
        base.pop("model_options", None)
    return base | content
