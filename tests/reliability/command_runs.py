"""Recipes, runs and weights, sound, damaged and crafted, for :mod:`tests.reliability.command_line`."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from vig_pyg.commands import app

SMALL = "epochs=1 warmup_epochs=0 conv=gin model_options.depth=1 model_options.channels=16 workers=0 --device cpu"
PYRAMID = "model_options.channels=[8,16] model_options.depths=[1,1] model_options.pools=[2,1] conv=gin"
TRAIN = {
    "run": f"train batch=1024 device_batch=1024 {SMALL} checkpoint_minutes=1e-9",
    "photo_run": f"train --data photos --recipe digits shift=0 batch=4 device_batch=4 {SMALL} image_size=32",
    "detect_run": (
        f"train --head mask_rcnn --data coco --recipe scenes_masks batch=2 epochs=1 warmup_epochs=0 {PYRAMID} "
        "model_options.stride=4 model_options.img_size=64 min_size=32 max_size=64 head_options.channels=16 --device cpu"
    ),
    "segment_run": (
        f"train --task segment --data masks --recipe scenes_segment batch=2 epochs=1 warmup_epochs=0 {PYRAMID} "
        "model_options.stride=4 model_options.img_size=64 image_size=64 --device cpu"
    ),
}

RECIPES = {
    "sound": "model: vig_micro\ndata: digits\nepochs: 1\n",
    "empty": "",
    "list": "- 1\n- 2\n",
    "text": "model",
    "number": "7",
    "null": "null",
    "cut": "model: [",
    "tab": "model:\n\tvig_micro",
    "twice": "model: vig_micro\nmodel: vig_tiny\n",
    "unknown": "modle: vig_micro\n",
    "interpolated": "model: ${data}\n",
    "environment": "model: ${oc.env:HOME}\n",
    "circular": "model: ${conv}\nconv: ${model}\n",
    "anchor": "a: &a [*a]\n",
    "laughs": "a: &a [x,x]\nb: &b [*a,*a]\nmodel_options: {k: *b}\n",
    "tag": "model: !!python/object/apply:os.mkdir ['executed']\n",
    "tag_name": "model: !!python/name:os.system\n",
    "binary": "model: !!binary aGVsbG8=\n",
    "deep": "model_options: " + "[" * 5000,
    "nested_conv": "model: vig_micro\ndata: digits\nmodel_options: {conv: 'evil:Mine'}\n",
    "listed_conv": "model: vig_micro\ndata: digits\nmodel_options: {blocks: [{conv: 'evil:Mine'}]}\n",
    "conv": "model: vig_micro\ndata: digits\nconv: 'evil:Mine'\n",
    "infinite": "learning_rate: .inf\n",
    "nan": "learning_rate: .nan\n",
    "date": "seed: 2024-01-01\n",
    "number_key": "1: 2\n",
    "null_key": "null: 2\n",
    "list_key": "[1, 2]: 3\n",
    "unicode": "data: 'ünï 字'\n",
}


def write_recipes() -> None:
    """Write recipes of every kind, and an operator that leaves a mark where it is imported."""
    Path("recipes").mkdir()
    for name, text in RECIPES.items():
        Path(f"recipes/{name}.yaml").write_text(text, encoding="utf-8")
    Path("recipes/bytes.yaml").write_bytes(b"\xff\xfe\x00model")
    Path("recipes/folder.yaml").mkdir()
    Path("evil.py").write_text("open('executed', 'w')\nfrom vig_pyg.conv import GINConv as Mine\n")


def _weights(name: str, **changes: Any) -> None:
    """Copy the best weights of the run, their configuration changed and nothing said of what they should be."""
    shutil.copytree("run/best", name)
    Path(name, "SHA256SUMS").unlink()
    config = json.loads(Path(name, "config.json").read_text())
    Path(name, "config.json").write_text(json.dumps(config | changes))


class Executed:
    """Leaves a mark where it is unpickled."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ("executed",)


def write_weights() -> None:
    """Write weights: of something else, damaged, crafted, without their configuration."""
    state = load_file("run/best/model.safetensors")
    Path("plain").mkdir()
    save_file(state, "plain/model.safetensors")
    torch.save(state, "plain.pth")
    torch.save({"model": Executed()}, "pickled.pth")
    torch.save([1, 2], "list.pth")
    torch.save({"a": torch.ones(1)}, "other.pth")
    Path("text.pth").write_text("no weights")
    Path("empty.pth").touch()
    os.mkfifo("fifo.pth")
    args = json.loads(Path("run/best/config.json").read_text())["model_args"]
    _weights("other_model", architecture="vig_tiny")
    _weights("unknown_model", architecture="[/x]")
    _weights("number_model", architecture=7)
    _weights("imports", model_args=args | {"conv": "evil:Mine"})
    _weights("imports_deeper", model_args=args | {"blocks": [{"conv": "evil:Mine"}]})
    _weights("few_names", label_names=["a"])
    _weights("text_names", label_names="abcdefghij")
    _weights("markup_names", label_names=[f"[/{digit}]" for digit in range(10)])
    _weights("odd_args", model_args=[1])
    _weights("wrong_args", model_args=args | {"depth": -1})
    _weights("unknown_task", task="[/x]")
    _weights("list_task", task=["detect"])
    for name, text in (("text_config", "none"), ("list_config", "[]"), ("deep_config", "[" * 100_000)):
        _weights(name)
        Path(name, "config.json").write_text(text)
    for name, change in (("damaged", lambda c: c[:-9] + b"\0" * 9), ("cut", lambda c: c[:-9]), ("no", lambda c: b"")):
        shutil.copytree("run/best", f"{name}_weights")
        file = Path(f"{name}_weights/model.safetensors")
        file.write_bytes(change(file.read_bytes()))
    shutil.copytree("run", "last_only")
    shutil.rmtree("last_only/best")
    for task in ("detect", "segment"):
        shutil.copytree(f"{task}_run/best", f"{task}_imports")
        Path(f"{task}_imports/SHA256SUMS").unlink()
        config = json.loads(Path(f"{task}_imports/config.json").read_text())
        config["options"]["backbone_options"]["conv"] = "evil:Mine"
        Path(f"{task}_imports/config.json").write_text(json.dumps(config))


def write_runs() -> None:
    """Train a small run of every task, and leave copies that someone tampered with."""
    for out, words in TRAIN.items():
        result = CliRunner().invoke(app, [*words.split(), "--out", out])
        assert result.exit_code == 0, result.output
    shutil.copytree("run", "pickled_state")
    state = next(Path("pickled_state").glob("state-*/training.pt"))
    torch.save({"progress": Executed()}, state)
    (state.parent / "SHA256SUMS").unlink()
    shutil.copytree("run", "old_pickles")
    torch.save(Executed(), "old_pickles/custom_checkpoint_0.pkl")
    shutil.copytree("run", "changed_recipe")
    text = Path("changed_recipe/recipe.yaml").read_text().replace("conv: gin", "conv: 'evil:Mine'")
    Path("changed_recipe/recipe.yaml").write_text(text)
    shutil.copytree("changed_recipe", "crafted_recipe")
    Path("crafted_recipe/SHA256SUMS").unlink()
    Path("only_partial").mkdir()
    Path("only_partial/recipe.yaml.here-1.partial").write_text("mod")
