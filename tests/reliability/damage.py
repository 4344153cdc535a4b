"""Files of runs, cut, flipped, emptied or lost: ``python -m tests.reliability.damage 1000`` counts what comes of it.

Every case damages one file of a small run at a place that follows from the case's number, goes through one of the doors
that read it, and is told by what comes out: ``clear`` is one sentence that names the folder, ``right`` the result of
the sound run, ``traceback`` any other error or sentence, and ``silent`` another result without a word.
"""

from __future__ import annotations

import json
import logging
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from tests.train.training import small_digits
from vig_pyg.manifest import check
from vig_pyg.models.detectors import retinanet
from vig_pyg.segmentation import load_segmenter, semantic_fpn
from vig_pyg.tasks.detection import load_detector
from vig_pyg.tasks.registry import task_of
from vig_pyg.tasks.weights import write_weights
from vig_pyg.train import Recipe, accelerator_for, build_model, fit, load_model, read_recipe

WORDS = ("epochs=3", "warmup_epochs=1", "batch=24", "device_batch=24", "checkpoint_minutes=1e-9", "workers=0")
TINY = ("model_options.depth=1", "model_options.channels=16", "conv=gin")
OUTCOMES = ("clear", "right", "traceback", "silent")
SAID = (ValueError, TypeError, OSError, FloatingPointError)  # what a command says in one sentence


class Stop(Exception):
    """A training is cut off here."""


def train(out: Path, recipe: Recipe, resume: bool = False, stop: bool = False) -> bytes:
    """Train, or go on, up to the middle of the third epoch or to the end, and return the last weights."""

    def look(progress, loss) -> None:
        if stop and progress.epoch == 2:
            raise Stop

    torch.manual_seed(recipe.seed)
    model = build_model(recipe, 10, channels=1)
    accelerator = accelerator_for(recipe, "cpu")
    try:
        fit(model, small_digits(48, 12), recipe, out, resume=resume, accelerator=accelerator, on_look=look)
    except Stop:
        return b""
    return (out / "last" / "model.safetensors").read_bytes()


def resume(folder: Path) -> bytes:
    """Go on with a run, as ``train --resume`` does."""
    check(folder / "recipe.yaml")
    return train(folder, read_recipe(folder / "recipe.yaml"), resume=True)


def digest(model: nn.Module, *others: object) -> bytes:
    """Return all that a model was loaded with."""
    return b"".join(weight.numpy().tobytes() for weight in model.state_dict().values()) + repr(others).encode()


def predict(folder: Path) -> bytes:
    """Load a classifier, as ``predict``, ``eval``, ``visualize`` and ``export`` do."""
    model, classes = load_model(folder)
    return digest(model, classes, task_of(folder), model.pretrained_cfg["mean"])


def start_from(folder: Path) -> bytes:
    """Build a model that starts from weights, as ``train --init`` does."""
    return digest(build_model(read_recipe("digits", [*TINY, f"init={folder}"]), 10, channels=1))


def detect(folder: Path) -> bytes:
    """Load a detector."""
    model, categories = load_detector(folder)
    return digest(model, categories, task_of(folder), model.transform.min_size)


def segment(folder: Path) -> bytes:
    """Load what segments."""
    model, classes, size = load_segmenter(folder)
    return digest(model, classes, size, task_of(folder))


class Door(NamedTuple):
    """What reads the files of a folder, which files, and what it gives where they are sound."""

    read: Callable[[Path], bytes]
    folder: Path
    files: list[str]
    right: bytes


def files(folder: Path, pattern: str) -> list[str]:
    """Return the names of the files in a folder that fit a pattern."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob(pattern) if path.is_file())


def doors(scratch: Path) -> list[Door]:
    """Make one small run and weights of every task in a folder, and return what reads them."""
    run, recipe = scratch / "run", read_recipe("digits", [*WORDS, *TINY])
    truth = train(scratch / "whole", recipe)
    train(run, recipe, stop=True)
    shutil.rmtree(run / "tensorboard")
    state, best = files(run, "state-*/*"), files(run, "best/[!R]*")  # but README.md
    made = [
        Door(resume, run, [*state, *state, *files(run, "*")], truth),
        Door(predict, run, best, predict(run)),
        Door(start_from, run, best, start_from(run)),
    ]
    backbone = {"backbone_options": {"channels": [8, 16, 32]}}
    config: dict[str, Any] = {"backbone": "pvig_micro", "label_names": ["a", "b"], "image_size": 32}
    config |= {"head": "retinanet", "categories": [{"id": 1, "name": "a"}]}
    for task, read, build, classes, options in (
        ("detect", detect, retinanet, 1, {"channels": 8, "min_size": 32, "max_size": 64}),
        ("segment", segment, semantic_fpn, 2, {}),
    ):
        folder = scratch / task
        text = json.dumps(config | {"task": task, "options": {**backbone, **options}})
        model = build("pvig_micro", classes, **backbone, **options)
        write_weights(folder, model.state_dict(), lambda path, text=text: path.write_text(text), "")
        made.append(Door(read, folder, files(folder, "[!R]*"), read(folder)))
    return made


def damaged(content: bytes, chance: random.Random) -> bytes | None:
    """Return content that is cut, flipped in a bit, zeroed or overwritten somewhere, emptied, or lost (None)."""
    place = chance.randrange(len(content))
    kind = chance.choice(("cut", "flipped", "zeroed", "garbage", "empty", "missing"))
    if kind in ("cut", "empty", "missing"):
        return {"cut": content[:place], "empty": b"", "missing": None}[kind]
    end = min(len(content), place + (1 if kind == "flipped" else chance.randint(1, 512)))
    bit = 1 << chance.randrange(8)
    inside = {"flipped": bytes([content[place] ^ bit]), "zeroed": bytes(end - place)}
    return content[:place] + inside.get(kind, chance.randbytes(end - place)) + content[end:]


def outcome(door: Door, number: int, scratch: Path) -> tuple[str, str]:
    """Return what comes of a case, and the case in words."""
    chance = random.Random(number)
    name = chance.choice(door.files)
    folder = scratch / "case"
    shutil.copytree(door.folder, folder)
    content = damaged((folder / name).read_bytes(), chance)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    case = f"case {number}: {door.read.__name__} with a damaged {name}"
    try:
        return "right" if door.read(folder) == door.right else "silent", case
    except SAID as error:
        sentence = str(error)
        clear = "\n" not in sentence and str(folder) in sentence
        return "clear" if clear else "traceback", f"{case}: {sentence}"
    except Exception as error:
        return "traceback", f"{case}: {error!r}"
    finally:
        shutil.rmtree(folder)


def campaign(cases: int, first: int = 0) -> tuple[dict[str, int], list[str]]:
    """Try so many cases, doors in turn; return how often each outcome came, and the cases that went wrong in words."""
    counts, wrong = Counter(dict.fromkeys(OUTCOMES, 0)), []
    with tempfile.TemporaryDirectory() as name:
        ready = doors(Path(name))
        for number in range(first, first + cases):
            what, case = outcome(ready[number % len(ready)], number, Path(name))
            counts[what] += 1
            if what in ("traceback", "silent"):
                wrong.append(f"{what}: {case}")
    return {"tried": cases, **counts}, wrong


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    counted, failures = campaign(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
    sys.stdout.write("\n".join([json.dumps(counted), *failures]) + "\n")
