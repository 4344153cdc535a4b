"""A run's folder, and the state in it. Files appear whole or not at all, and the last good state is never lost."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate.optimizer import AcceleratedOptimizer
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict

from vig_pyg.files import as_json, to_disk, write_text, write_whole
from vig_pyg.machine import describe_machine
from vig_pyg.manifest import SUMS, DamagedError, check, sums_of
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.recipes import read_keys
from vig_pyg.tasks.results import Epoch

log = logging.getLogger(__name__)
RECIPE, SETTING, METRICS, STATE = "recipe.yaml", "run.json", "metrics.csv", "state-"
TRAINING = "training.pt"  # in the folder of a state
MAY_CHANGE = ("workers", "checkpoint_minutes", "broken_share")  # of a recipe when a run is resumed


class Interrupted(KeyboardInterrupt):
    """A training was asked to stop, and stopped after an update."""


class TrainingError(ValueError):
    """What ended a training that had begun, and what is kept of it."""


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
        """Return all fields, of plain types only."""
        return vars(self) | {"history": [tuple(epoch) for epoch in self.history], "broken": sorted(self.broken)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take all fields over."""
        vars(self).update(state, history=[Epoch(*epoch) for epoch in state["history"]], broken=set(state["broken"]))


@dataclass
class StateContent:
    """The states of a model, of its optimizer, and of what else decides how a training goes on.

    Weights that are sharded over processes are gathered in the main process, and taken from there by any number.
    Random numbers have no state: they follow from the seed and the number of the update.
    The optimizer, and a model that FSDP shards, are as accelerate prepared them.
    """

    model: nn.Module
    optimizer: AcceleratedOptimizer
    sharded: bool
    others: dict[str, Any]

    def state_dict(self) -> dict[str, Any]:
        """Return all states. All processes call it together; of sharded weights only the main one gets any."""
        if self.sharded:
            options = StateDictOptions(full_state_dict=True, cpu_offload=True)
            model, optimizer = get_state_dict(self.model, self.optimizer.optimizer, options=options)
        else:
            model, optimizer = self.model.state_dict(), self.optimizer.state_dict()
        others = {name: part.state_dict() for name, part in self.others.items()}
        return {"model": model, "optimizer": optimizer, **others}

    def load_state_dict(self, states: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned; refuse that of another model or precision by a ValueError."""
        try:
            if self.sharded:
                whole = {"model_state_dict": states["model"], "optim_state_dict": states["optimizer"]}
                options = StateDictOptions(full_state_dict=True)
                set_state_dict(self.model, self.optimizer.optimizer, **whole, options=options)
            else:
                self.model.load_state_dict(states["model"])
                self.optimizer.load_state_dict(states["optimizer"])
            for name, part in self.others.items():
                part.load_state_dict(states[name])
        except (KeyError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise ValueError(f"the state to go on from is of another model, data or precision ({reason})") from error


def open_run(out: Path, recipe: Recipe, resume: bool) -> None:
    """Make the folder of a run, or enter that of an interrupted one, even if it was killed while its folder was made.

    Raises:
        FileExistsError: the folder holds another run or other files.
        FileNotFoundError: there is nothing to resume.
        ValueError: the run to resume had another recipe; names the first key that differs.
        OSError: the folder cannot be written.
    """
    begun = (out / RECIPE).is_file()
    taken = out.exists() and (not out.is_dir() or any(path.suffix != ".partial" for path in out.iterdir()))
    if resume and not begun and (taken or not out.exists()):
        raise FileNotFoundError(f"there is no run in {out} to resume: leave out --resume")
    if taken and not resume:
        what = "holds a run: add --resume to go on with it, or" if begun else "is not empty:"
        raise FileExistsError(f"{out} {what} choose another folder with --out")
    if begun:
        check(out / RECIPE)
        before, now = read_keys(out / RECIPE), asdict(recipe)
        for key in [*before, *now]:
            if (was := before.get(key)) != (given := now.get(key)) and key not in MAY_CHANGE:
                raise ValueError(f"the run in {out} has {key}={was!r}, not {given!r}: resume it as it was")
    out.mkdir(parents=True, exist_ok=True)
    for path in out.rglob("*.partial"):
        if path.is_file():  # of a process that was killed
            path.unlink(missing_ok=True)
    if not begun:
        write_whole(out / RECIPE, recipe.save)  # first: a run that is killed from here on can be resumed
        write_text(out / SUMS, sums_of([out / RECIPE]))
    if not (out / SETTING).is_file():
        write_text(out / SETTING, as_json(describe(recipe)))


def describe(recipe: Recipe) -> dict[str, Any]:
    """Return what, beside the recipe, is needed to repeat a run."""
    return {"command": sys.argv, "seed": recipe.seed, **describe_machine()}


def save_state(out: Path, progress: Progress, training: dict[str, Any], before: Path | None) -> Path:
    """Write the state of a training, and delete all others but the one before; return its folder.

    Raises:
        OSError: it cannot be written; names the state before, which stays.
    """
    state = out / f"{STATE}{progress.epoch:05d}-{progress.update:07d}"
    partial = state.with_suffix(".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        torch.save(training, partial / TRAINING)
        (partial / SUMS).write_text(sums_of([partial / TRAINING]))
        for path in [*partial.iterdir(), partial]:
            to_disk(path)
        shutil.rmtree(state, ignore_errors=True)  # a damaged one
        os.replace(partial, state)
        to_disk(out)
    except (OSError, RuntimeError) as error:  # torch says either where a disk is full
        left = f"the last good one is {before}" if before else "there is none before it"
        raise OSError(f"the state cannot be written to {out} ({str(error).splitlines()[0]}); {left}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for path in states(out):
        if path not in (state, before):
            shutil.rmtree(path, ignore_errors=True)
    return state


def read_state(out: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the folder and the content of the last state that is not damaged, or None where none was written yet.

    Nothing in it is unpickled but tensors and plain types.

    Raises:
        DamagedError: all states are damaged; names the last.
    """
    damaged: list[DamagedError] = []
    for state in reversed(states(out)):
        try:
            check(state / TRAINING, required=True)
            return state, torch.load(state / TRAINING, map_location="cpu", weights_only=True)
        except DamagedError as error:
            damaged.append(error)
            log.warning("%s; the state before it is taken", error)
        except Exception as error:  # a crafted file
            raise DamagedError(f"{state / TRAINING} holds more than a state ({type(error).__name__})") from error
    if damaged:
        raise DamagedError(f"{damaged[0]}, and no state before it is whole: begin anew in another folder")
    return None


def states(out: Path) -> list[Path]:
    """Return the states in a run's folder, the last one last."""
    return sorted(path for path in out.glob(f"{STATE}*") if path.suffix != ".partial")


def draw_curves(path: Path, history: Sequence[Epoch]) -> None:
    """Draw the training loss and what was measured on held-out images over the epochs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    epochs = range(1, len(history) + 1)
    name = next(iter(history[0].measured))
    curves = {
        "training loss": [epoch.loss for epoch in history],
        f"held-out {name}, %": [100 * epoch.score for epoch in history],
    }
    for axes, (title, values) in zip(figure.subplots(1, 2), curves.items(), strict=True):
        axes.plot(epochs, values, marker="." if len(history) < 30 else None)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110, format="png")
