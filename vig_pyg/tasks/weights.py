"""Weights in a folder: safetensors, a configuration, a card and their SHA-256."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import save_file
from torch import nn

from vig_pyg.checks import check_kind
from vig_pyg.files import write_text, write_whole
from vig_pyg.manifest import SUMS, check, sums_of
from vig_pyg.models.checkpoint import read_checkpoint
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.results import Epoch, Weights

Model = TypeVar("Model", bound=nn.Module)

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"


def weights_file(path: str | Path) -> Path:
    """Return the file of weights: itself, that in a folder, or the best of a run; else raise a FileNotFoundError."""
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
    """Return the configuration beside weights, empty where there is none; refuse a damaged one by a ValueError."""
    path = file.with_name(CONFIG)
    check(path)
    try:
        config = json.loads(path.read_bytes()) if path.is_file() else {}
    except (ValueError, RecursionError):  # no JSON, no text
        config = None
    if not isinstance(config, dict):
        raise ValueError(f"{path} is damaged: it holds no configuration in JSON")
    return config


def write_weights(folder: Path, weights: Weights, write_config: Callable[[Path], object], card: str) -> None:
    """Write a configuration, a card, the weights in safetensors and, last, their SHA-256, each file whole.

    A process that is killed on the way leaves files that are whole but not listed, never some that look damaged.
    """
    folder.mkdir(exist_ok=True)
    (folder / SUMS).unlink(missing_ok=True)
    write_whole(folder / CONFIG, write_config)
    write_text(folder / CARD, card)
    whole = {name: tensor.contiguous() for name, tensor in weights.items()}
    write_whole(folder / WEIGHTS, lambda path: save_file(whole, path, metadata={"format": "pt"}))
    write_text(folder / SUMS, sums_of([folder / CONFIG, folder / WEIGHTS]))


def plugged(recipe: Recipe) -> str:
    """Return the model of a recipe, with the operator and the graph that it plugs in, in words for a card."""
    words = {"operator": recipe.conv, "graph": recipe.graph}
    named = [f"the {what} `{word}`" for what, word in words.items() if word]
    return recipe.model + (f" with {' and '.join(named)}" if named else "")


def trained_on(recipe: Recipe, data: Any, history: Sequence[Epoch]) -> str:
    """Return on what a model was trained and for how long, in words for a card."""
    how_long = f"for {len(history)} of {recipe.epochs} epochs from seed {recipe.seed}"
    return f"trained on {data.name}\n({len(data.classes)} classes) {how_long}."


def model_card(tags: str, text: str) -> str:
    """Return a text as a model card in Markdown, with the header that model hubs read."""
    return f"""---
tags: [{tags}, vig_pyg, graph-neural-network]
library_name: {"timm" if "timm" in tags else "vig_pyg"}
---
{text}
The recipe, the versions and the command are in the folder of the run; `vig-pyg train --recipe recipe.yaml` repeats it.
"""


def with_weights(model: Model, weights: str | Path) -> Model:
    """Return a model with its weights, in evaluation mode; refuse damaged ones or others by a ValueError."""
    file = weights_file(weights)
    try:
        model.load_state_dict(read_checkpoint(file))
    except RuntimeError as error:
        raise ValueError(f"{file} does not fit its {CONFIG}: {str(error).splitlines()[-1].strip()}") from None
    return model.eval()
