"""Weights in a folder: safetensors, a configuration, a card and their SHA-256."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import save_file
from torch import Tensor, nn

from vig_pyg.checks import check_kind
from vig_pyg.files import write_whole
from vig_pyg.manifest import SUMS, check, sums_of
from vig_pyg.models.checkpoint import read_checkpoint
from vig_pyg.models.names import check_model_name
from vig_pyg.registry import refuse_imports
from vig_pyg.tasks.recipe import Recipe

Model = TypeVar("Model", bound=nn.Module)

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"


def weights_file(path: str | Path) -> Path:
    """Return the file of weights: itself, that in a folder, or the best of a run.

    Raises:
        FileNotFoundError: there is none.
    """
    check_kind("a path", str | Path, weights=path)
    path = Path(path)
    inside = [path / WEIGHTS, path / "best" / WEIGHTS] if path.is_dir() else [path]
    for file in inside:
        if file.is_file():
            return file
    last = path / "last"
    hint = f"take {last} for those of its last epoch" if last.is_dir() else "give a file, or the folder of a run"
    raise FileNotFoundError(f"there are no {'best ' if last.is_dir() else ''}weights in {path}: {hint}")


def weights_config(file: Path) -> dict[str, Any]:
    """Return the configuration beside a file of weights, empty where there is none.

    Raises:
        ValueError: it is damaged.
    """
    path = file.with_name(CONFIG)
    check(path)
    try:
        config = json.loads(path.read_bytes()) if path.is_file() else {}
    except (ValueError, RecursionError):  # no JSON, no text
        config = None
    if not isinstance(config, dict):
        raise ValueError(f"{path} is damaged: it holds no configuration in JSON")
    return config


def write_weights(folder: Path, weights: dict[str, Tensor], write_config: Callable[[Path], object], card: str) -> None:
    """Write a configuration, a card, the weights in safetensors and, last, their SHA-256, each file whole.

    A process that is killed on the way leaves files that are whole but not listed, never some that look damaged.
    """
    folder.mkdir(exist_ok=True)
    (folder / SUMS).unlink(missing_ok=True)
    write_whole(folder / CONFIG, write_config)
    write_whole(folder / CARD, lambda path: path.write_text(card))
    whole = {name: tensor.contiguous() for name, tensor in weights.items()}
    write_whole(folder / WEIGHTS, lambda path: save_file(whole, path, metadata={"format": "pt"}))
    write_whole(folder / SUMS, lambda path: path.write_text(sums_of([folder / CONFIG, folder / WEIGHTS])))


def plugged(recipe: Recipe) -> str:
    """Return which operator and graph a recipe plugs in, in words for a card."""
    words = {"operator": recipe.conv, "graph": recipe.graph}
    named = [f"the {what} `{word}`" for what, word in words.items() if word]
    return f" with {' and '.join(named)}" if named else ""


def read_config(
    weights: str | Path, task: str, what: str, trust: bool = False, model: str | None = None
) -> dict[str, Any]:
    """Return the configuration beside weights.

    Args:
        weights: A folder that a run wrote, or the file of weights in it.
        task: What they must have been trained for.
        what: The same in words.
        trust: Whether an operator or a graph may be named as ``"module:Name"``, to be imported.
        model: What the user says that the backbone is, if anything.

    Raises:
        FileNotFoundError: there are no such weights.
        ValueError: they were trained for something else or on another backbone, or a module would have to be imported.
    """
    file = weights_file(weights)
    config = weights_config(file)
    if config.get("task") != task:
        raise ValueError(f"{file} holds no {what}: there must be a {CONFIG} beside it that says which")
    check_model_name(config["backbone"])
    if model not in (None, config["backbone"]):
        raise ValueError(f"{file} holds weights of a {what} on {config['backbone']}, not on {model}: leave out --model")
    if not trust:
        refuse_imports(config, file.with_name(CONFIG))
    return config


def with_weights(model: Model, weights: str | Path) -> Model:
    """Return a model with its weights, in evaluation mode.

    Raises:
        ValueError: they are damaged, or of another model.
    """
    file = weights_file(weights)
    try:
        model.load_state_dict(read_checkpoint(file))
    except RuntimeError as error:
        raise ValueError(f"{file} does not fit its {CONFIG}: {str(error).splitlines()[-1].strip()}") from None
    return model.eval()
