"""What is typed in the cases of :mod:`tests.reliability.command_line`, and what should come of it.

The tables are in ``command_lines``, a case per line: ``right`` is done, and after ``=>`` stands what it shows, words of
the output and files (``@``); ``clear`` is refused; ``late`` ends on the way; ``either`` may be refused, at once or when
it comes to it, or borne; in ``full`` no file may become larger than so many bytes, as on a full disk. ``$T`` trains a
small classifier of digits, ``$P`` one of photos, ``$D`` a detector, ``$S`` what segments, all into ``out``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from tests.reliability.command_files import COCO, JSON
from tests.reliability.command_runs import RECIPES
from vig_pyg.tasks import get_task, list_tasks
from vig_pyg.tasks.registry import tasks_with

LINES = Path(__file__).with_name("command_lines")
TINY = "epochs=1 warmup_epochs=0 conv=gin model_options.depth=1 model_options.channels=16 workers=0"
PYRAMID = "model_options.channels=[8,16] model_options.depths=[1,1] model_options.pools=[2,1] conv=gin batch=2"
ON_PYRAMID = f"epochs=1 warmup_epochs=0 {PYRAMID} model_options.stride=4 model_options.img_size=64 --out out"
WORDS = {
    "T": f"train batch=1024 device_batch=1024 {TINY} --device cpu --out out",
    "P": f"train --recipe digits shift=0 image_size=32 batch=4 device_batch=4 {TINY} --device cpu --out out",
    "D": f"train --recipe scenes_masks --device cpu min_size=32 max_size=64 head_options.channels=16 {ON_PYRAMID}",
    "S": f"train --recipe scenes_segment --device cpu image_size=64 {ON_PYRAMID}",
    "tiny": TINY,
    "long": "n" * 300,
    "longer": "n" * 5000,
    "study": f"study operators --conv gin --seeds 1 --jobs 1 --device cpu --out out {TINY.replace('conv=gin', '')}",
    "demo": "demo --conv gin --seeds 1 --epochs 1 --out out --device cpu",
}


REFUSED_RECIPES = set(RECIPES) - {"sound", "empty"} | {"bytes", "folder"}
# What COCO's tools do without, or what is used nowhere.
BORNE = {"box_no_segmentation", "mask_short_runs"}

WRONG: dict[type, tuple[str, ...]] = {
    int: (
        "inf",
        "-.inf",
        "nan",
        "1e999",
        "99999999999999999999",
        "-1",
        "-99999999999999999999",
        "''",
        "1.5",
        "one",
        "[1]",
    ),
    float: (".inf", "-.inf", ".nan", "1e999", "-1", "-1e999", "''", "one", "[1]", "{a: 1}"),
    bool: ("2", "perhaps", "''", "[1]", "1.5", "null"),
    list: ("3", "[a]", "[1.5]", "{a: 1}", "[-1]", "[.inf]", "[[1]]", "[2,1]"),
    dict: ("3", "[1]", "text", "''", "[[[]]]"),
}


class Case(NamedTuple):
    """What is typed, what should come of it (``clear``, ``right`` or ``late``), and what a right result shows.

    ``recipe`` is written to ``given.yaml`` before; no file may become larger than ``largest`` bytes.
    """

    line: str
    wanted: tuple[str, ...]
    shown: str = ""
    recipe: str = ""
    largest: int | None = None


def of_keys() -> Iterator[Case]:
    """Yield every key of a recipe with values of another type and out of its range, typed and in YAML by turns."""
    number = 0
    for each in _keys():
        task = tasks_with(each.name)[0]
        types: dict[str, Any] = get_type_hints(get_task(task).recipe_class)
        data = "coco" if task == "detect" else "digits"
        kind = (get_args(types[each.name]) or (types[each.name],))[0]
        kind = kind if type(None) in get_args(types[each.name]) else types[each.name]
        for value in WRONG.get(get_origin(kind) or kind, ()):
            number += 1
            if number % 2:
                line = f'train --task {task} --data {data} {TINY} --device cpu --out out "{each.name}={value}"'
                yield Case(line.replace("=''", "="), ("clear",), each.name)
            else:
                recipe = f"task: {task}\ndata: {data}\n{each.name}: {value}\n"
                yield Case("train --recipe given.yaml --out out --device cpu", ("clear",), each.name, recipe)


def _keys() -> list[Field]:
    """Return the keys of the recipes of all tasks, each once."""
    return list({each.name: each for task in list_tasks() for each in fields(get_task(task).recipe_class)}.values())


def lines(name: str) -> list[str]:
    """Return the lines of a table."""
    return (LINES / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def cases() -> list[Case]:
    """Return all cases, always the same."""
    found = list(of_keys())
    for line in lines("right"):
        typed, _, shown = line.partition(" => ")
        found.append(Case(typed, ("right",), shown))
    found += [Case(line, ("clear",)) for line in lines("clear")]
    found += [Case(line, ("late",)) for line in lines("late")]
    found += [Case(line, ("clear", "late", "right")) for line in lines("either")]
    for line in lines("full"):
        largest, _, typed = line.partition(" ")
        found.append(Case(typed, ("late", "right"), largest=int(largest)))
    found += [Case(f"train --recipe recipes/{name}.yaml --out out", ("clear",)) for name in sorted(REFUSED_RECIPES)]
    for name in [*COCO, *JSON]:
        found.append(Case(f"$D --data coco_{name}", ("clear", "right") if name in BORNE else ("clear",)))
    return found
