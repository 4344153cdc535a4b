"""A run's folder. Files appear whole or not at all, and the last good state is never lost."""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from accelerate import Accelerator

from vig_pyg.machine import describe_machine
from vig_pyg.train.recipe import Recipe, read_recipe

RECIPE, SETTING, METRICS, STATE = "recipe.yaml", "run.json", "metrics.csv", "state-"
MAY_CHANGE = ("workers", "checkpoint_minutes", "broken_share")  # of a recipe when a run is resumed


class Epoch(NamedTuple):
    """What an epoch gave: the mean loss, what was measured on held-out images, and the share of time spent waiting."""

    loss: float
    measured: dict[str, float]
    learning_rate: float
    seconds: float
    waiting: float

    @property
    def score(self) -> float:
        """What the best model is chosen by: the first that was measured."""
        return next(iter(self.measured.values()))

    @property
    def accuracy(self) -> float:
        """Share of the held-out images that were classified correctly."""
        return self.measured["accuracy"]

    def row(self) -> dict[str, float]:
        """Return all figures by name."""
        return {"loss": self.loss, **self.measured, **dict(zip(self._fields[2:], self[2:], strict=True))}


@dataclass
class Progress:
    """How far a training has come: part of its state."""

    epoch: int = 0
    update: int = 0
    """Updates made in this epoch."""
    loss_sum: float = 0.0
    """Of this epoch's updates."""
    history: list[Epoch] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    """Images that did not decode."""

    def state_dict(self) -> dict[str, Any]:
        """Return all fields."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take all fields over."""
        vars(self).update(state, history=[Epoch(*epoch) for epoch in state["history"]])


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path`` and put it in its place once it is on the disk.

    Processes and machines may write one file at once: the last to finish wins.
    """
    partial = path.with_name(f"{path.name}.{socket.gethostname()}-{os.getpid()}.partial")
    try:
        write(partial)
        _to_disk(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write rows, the names of the columns first."""

    def write(partial: Path) -> None:
        with partial.open("w", newline="") as file:
            csv.writer(file).writerows(rows)

    write_whole(path, write)


def open_run(out: Path, recipe: Recipe, resume: bool) -> None:
    """Make the folder of a run, or enter that of an interrupted one.

    Raises:
        FileExistsError: the folder holds another run or other files.
        FileNotFoundError: there is nothing to resume.
        ValueError: the run to resume had another recipe; names the first key that differs.
        OSError: the folder cannot be written.
    """
    if resume:
        if not (out / RECIPE).is_file():
            raise FileNotFoundError(f"there is no run in {out} to resume: leave out --resume")
        before, now = asdict(read_recipe(out / RECIPE)), asdict(recipe)
        for key in before:
            if before[key] != now[key] and key not in MAY_CHANGE:
                raise ValueError(f"the run in {out} has {key}={before[key]!r}, not {now[key]!r}: resume it as it was")
        for path in out.rglob("*.partial"):
            if path.is_file():  # of a process that was killed
                path.unlink(missing_ok=True)
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "holds a run: add --resume to go on with it, or" if (out / RECIPE).exists() else "is not empty:"
        raise FileExistsError(f"{out} {what} choose another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / SETTING, lambda path: path.write_text(json.dumps(describe(recipe), indent=1) + "\n"))
    write_whole(out / RECIPE, recipe.save)


def describe(recipe: Recipe) -> dict[str, Any]:
    """Return what, beside the recipe, is needed to repeat a run."""
    return {
        "command": sys.argv,
        "seed": recipe.seed,
        **describe_machine(),
    }


def save_state(accelerator: Accelerator, out: Path, progress: Progress) -> None:
    """Write the state of a training and delete the one before. All processes call it together."""
    name = f"{STATE}{progress.epoch:05d}-{progress.update:07d}"
    partial = out / f"{name}.partial"
    try:
        if accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(partial))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            for path in [*partial.rglob("*"), partial]:
                _to_disk(path)
            before = [path for path in states(out) if path.name != name]
            shutil.rmtree(out / name, ignore_errors=True)
            os.replace(partial, out / name)
            _to_disk(out)
            for path in before:
                shutil.rmtree(path, ignore_errors=True)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError | RuntimeError):  # torch says either where a disk is full
            kept = [str(path) for path in states(out)[-1:]]
            left = f"the last good one is {kept[0]}" if kept else "there is none before it"
            raise OSError(f"the state cannot be written to {out} ({str(error).splitlines()[0]}); {left}") from error
        raise


def states(out: Path) -> list[Path]:
    """Return the whole states in a run's folder, the last one last."""
    return sorted(path for path in out.glob(f"{STATE}*") if path.suffix != ".partial")


def write_metrics(out: Path, history: Sequence[Epoch]) -> None:
    """Write what every epoch gave, as CSV."""
    rows = ((number, *epoch.row().values()) for number, epoch in enumerate(history, start=1))
    write_csv(out / METRICS, [("epoch", *history[0].row()), *rows])


def draw_curves(path: Path, history: Sequence[Epoch]) -> None:
    """Draw the training loss and what was measured on held-out images over the epochs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    epochs = range(1, len(history) + 1)
    name = next(iter(history[0].measured))
    for axes, values, title in zip(
        figure.subplots(1, 2),
        ([epoch.loss for epoch in history], [100 * epoch.score for epoch in history]),
        ("training loss", f"held-out {name}, %"),
        strict=True,
    ):
        axes.plot(epochs, values, marker="." if len(history) < 30 else None)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110, format="png")


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
