"""The training loop. timm mixes, optimizes and averages, accelerate spreads over devices; this joins them."""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from vig_pyg.checks import check_flags, check_kind
from vig_pyg.data.samplers import EpochSampler
from vig_pyg.files import write_csv, write_whole
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.registry import get_task
from vig_pyg.tasks.results import Epoch
from vig_pyg.tasks.task import Task
from vig_pyg.train import run
from vig_pyg.train.devices import accelerator_for, images_at_once
from vig_pyg.train.run import Interrupted, Progress, StateContent, TrainingError
from vig_pyg.train.schedule import learning_rates
from vig_pyg.train.signals import stop_signals
from vig_pyg.train.sync import synchronize_batch_norm

log = logging.getLogger(__name__)
OnLook: TypeAlias = Callable[[Progress, float], None]
LOOK_EVERY = 10  # updates between two looks at the losses


def fit(
    model: nn.Module,
    data: Any,
    recipe: Recipe,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    accelerator: Accelerator | None = None,
    on_look: OnLook = lambda *_: None,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> list[Epoch]:
    """Train a model; return what every epoch gave.

    With a folder, the state is written there every ``checkpoint_minutes``, after the last epoch, and when the process
    is asked to stop (Ctrl-C, SIGTERM); ``resume`` goes on from it. On one CPU process the weights are then equal, bit
    by bit, to those of a training that was never interrupted: everything random follows from the seed and the update.

    Args:
        model: From images to what the task's loss takes; in classification logits, one per class of the data.
        data: The data set of the recipe's task, such as :func:`~vig_pyg.train.load_data` returns, or its name; or a
            :class:`~vig_pyg.tasks.Task`.
        recipe: How to train. Its ``model``, ``conv``, ``graph``, ``data`` and ``init`` are only written down.
        out: Folder of the run: recipe, setting, metrics, curves, state, and the ``best`` and ``last`` weights.
        resume: Go on with the run in ``out``.
        accelerator: Devices, processes and precision; by default what accelerate finds.
        on_look: Called every few updates with the progress and the loss.
        on_epoch: Called after every epoch.

    Raises:
        ValueError: batch, labels or data do not fit.
        FileExistsError: ``out`` holds something else.
        FloatingPointError: the loss is not finite.
        TrainingError: the data or the model do not go on; names what is kept.
        Interrupted: the process was asked to stop.
    """
    check_kind("a model", nn.Module, model=model)
    if not (isinstance(data, Task | str) or (hasattr(data, "train") and hasattr(data, "test"))):
        raise TypeError(f"data must be a data set, its name or a task, got {data!r}")
    check_kind("a path or None", str | Path | None, out=out)
    check_kind("an accelerator or None", Accelerator | None, accelerator=accelerator)
    check_kind("a function", Callable, on_look=on_look, on_epoch=on_epoch)
    check_flags(resume=resume)
    check_kind("a Recipe", Recipe, recipe=recipe)
    accelerator = accelerator or accelerator_for(recipe)
    task = data if isinstance(data, Task) else _task_of(recipe, data)
    training = _Training(model, task, recipe, accelerator, None if out is None else Path(out), on_look)
    training.open(resume)
    with stop_signals() as training.stop:
        while training.progress.epoch < recipe.epochs:
            try:
                epoch = training.epoch()
            except (ValueError, TypeError, RuntimeError) as error:  # of data that are read on the way
                reason = str(error).strip().splitlines()[-1]  # a process that loads images adds its traceback
                raise TrainingError(f"{reason}; {training.kept()}") from error
            on_epoch(epoch)
    training.close()
    return training.progress.history


def _task_of(recipe: Recipe, data: Any) -> Task:
    """Return the task of a recipe on data."""
    task = get_task(recipe.task)
    if not isinstance(recipe, task.recipe_class):
        raise TypeError(
            f"the task {recipe.task} needs a {task.recipe_class.__name__}, as read_recipe returns, got a "
            f"{type(recipe).__name__}"
        )
    return task(task.load_data(replace(recipe, data=data)) if isinstance(data, str) else data, recipe)


class _Training:
    """One training: its model, optimizer and schedule, how far it is, and how it goes on."""

    def __init__(
        self, model: nn.Module, task: Task, recipe: Recipe, accelerator: Accelerator, out: Path | None, on_look: OnLook
    ) -> None:
        self.task, self.recipe, self.accelerator, self.out, self.on_look = task, recipe, accelerator, out, on_look
        self.sharded = accelerator.distributed_type is DistributedType.FSDP
        if accelerator.mixed_precision != recipe.precision:
            raise ValueError(
                f"the accelerator computes in mixed_precision={accelerator.mixed_precision!r}, but the recipe says "
                f"precision={recipe.precision!r}: give both the same"
            )
        if self.sharded and recipe.ema_decay:
            raise ValueError(f"ema_decay={recipe.ema_decay} needs whole weights, but FSDP shards them")
        task.prepare(model, accelerator.device)
        at_once = images_at_once(recipe, accelerator.num_processes)
        share = at_once, accelerator.process_index, accelerator.num_processes
        self.train, self.test = task.train_loader(model, *share), task.test_loader(model, *share)
        self.updates = task.images // recipe.batch
        self.steps = recipe.batch // (at_once * accelerator.num_processes)  # of one update
        accelerator.gradient_accumulation_steps = self.steps
        if recipe.sync_batch_norm and accelerator.num_processes > 1:
            model = synchronize_batch_norm(model, accelerator.device)
        if recipe.gradient_checkpointing:
            model.set_grad_checkpointing()  # type: ignore[operator]  # every model of timm has it
        self.plain = model
        model = model.to(accelerator.device)
        self.average = ModelEmaV3(model, decay=recipe.ema_decay) if recipe.ema_decay else None
        optimizer = create_optimizer_v2(
            model, recipe.optimizer, recipe.scaled_learning_rate, recipe.weight_decay, layer_decay=recipe.layer_decay
        )
        self.schedule = learning_rates(optimizer, recipe, self.updates)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.forward = torch.compile(self.model) if recipe.compile else self.model
        self.progress = Progress()
        others = {"progress": self.progress, "average": self.average, "scaler": accelerator.scaler}
        used = {name: part for name, part in others.items() if part is not None}
        self.content = StateContent(self.model if self.sharded else model, self.optimizer, self.sharded, used)
        self.state: Path | None = None  # the folder of the last one that is whole
        self.losses: list[Tensor] = []
        self.stop = threading.Event()
        self.saved_at = time.monotonic()

    def open(self, resume: bool) -> None:
        """Make the folder, or take the state from it."""
        if self.out is None:
            return
        if self.accelerator.is_main_process:
            run.open_run(self.out, self.recipe, resume)
        self.accelerator.wait_for_everyone()
        found = run.read_state(self.out) if resume else None
        if found is not None:
            self.state, content = found
            self.content.load_state_dict(content)
        elif resume:
            log.warning("no state is in %s: the training begins with its first update", self.out)
        if self.accelerator.is_main_process:
            self.board = SummaryWriter(self.out / "tensorboard", purge_step=self.progress.epoch + 1)

    def epoch(self) -> Epoch:
        """Train for what is left of an epoch and evaluate."""
        progress, start, waited = self.progress, time.perf_counter(), 0.0
        self.model.train()
        batches = self._batches()
        while progress.update < self.updates:
            before = time.perf_counter()
            chosen = list(itertools.islice(batches, self.steps))
            waited += time.perf_counter() - before
            self._update(chosen)
            last = progress.update == self.updates
            if last or len(self.losses) == LOOK_EVERY or (self.accelerator.num_processes == 1 and self.stop.is_set()):
                self._look()
        measured = self.task.evaluate(self._kept_model(), self.test, self.accelerator.device).figures
        loss, seconds = progress.loss_sum / self.updates, time.perf_counter() - start
        progress.history.append(Epoch(loss, measured, self._rate(), seconds, waited / seconds))
        progress.epoch, progress.update, progress.loss_sum = progress.epoch + 1, 0, 0.0
        self._keep()
        return progress.history[-1]

    def close(self) -> None:
        """Write the last weights and the curves."""
        if self.out is not None:
            self._save_weights("last")
        if self.out is not None and self.accelerator.is_main_process:
            self.board.close()
            write_whole(self.out / "curves.png", lambda path: run.draw_curves(path, self.progress.history))
        self.accelerator.wait_for_everyone()

    def _batches(self) -> Iterator[Any]:
        """Return the batches of what is left of an epoch."""
        done, left = self.progress.update * self.steps, (self.updates - self.progress.update) * self.steps
        if isinstance(self.train.sampler, EpochSampler):
            self.train.sampler.epoch, self.train.sampler.first_update = self.progress.epoch, self.progress.update
            return itertools.islice(self.train, left)
        self.train.dataset.set_epoch(self.progress.epoch)  # type: ignore[attr-defined]  # shards, in order
        return itertools.islice(self._shards(), done, done + left)

    def _shards(self) -> Iterator[Any]:
        """Yield the batches of shards again and again: a process may get some images fewer than others."""
        while True:
            batch = None
            for batch in self.train:
                yield batch
            if batch is None:
                raise ValueError(
                    f"the shards of {self.recipe.data} give this process not one batch of {self.train.batch_size} "
                    "images that decode: lower device_batch or workers, or see whether the shards are damaged"
                )

    def _update(self, batches: list[Any]) -> None:
        """Take one step of the optimizer on a whole batch."""
        recipe, accelerator, number = self.recipe, self.accelerator, self._number()
        self.schedule.step_update(number)
        # Everything random in an update follows from its number.
        drawn = np.random.SeedSequence([recipe.seed, number, accelerator.process_index]).generate_state(2)
        torch.manual_seed(int(drawn[0]))
        np.random.seed(drawn[1])
        total = torch.zeros((), device=accelerator.device)
        for batch in batches:
            self._count_broken(batch.broken)
            with accelerator.accumulate(self.model):
                with accelerator.autocast():
                    loss = self.task.loss(self.forward, batch, accelerator.device)
                accelerator.backward(loss)
                if recipe.clip_gradient and accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(self.model.parameters(), recipe.clip_gradient)
                self.optimizer.step()
                self.optimizer.zero_grad()
            total += loss.detach() / len(batches)
        if self.average is not None:
            self.average.update(self.plain, step=number)
        self.losses.append(total)
        self.progress.update += 1

    def _look(self) -> None:
        """Add up the losses since the last look, refuse what is not finite, and see whether to write or to stop."""
        losses = self.accelerator.reduce(torch.stack(self.losses), "mean").tolist()
        self.losses.clear()
        for number, loss in enumerate(losses, start=self._number() - len(losses)):
            if not math.isfinite(loss):
                self.schedule.step_update(number)
                raise FloatingPointError(
                    f"the loss is {loss} at update {number + 1}, with learning rate {self._rate():.3g}; {self.kept()}"
                )
            self.progress.loss_sum += loss
        self.on_look(self.progress, losses[-1])
        stop = self._any(self.stop.is_set())
        late = time.monotonic() - self.saved_at > 60 * self.recipe.checkpoint_minutes
        if self.out is not None and (stop or self._any(late)):
            self._save()
        if stop:
            raise Interrupted("asked to stop" + (f"; the state is in {self.out}" if self.out else ""))

    def _keep(self) -> None:
        """Write what an epoch gave: metrics, the best weights and, after the last, the state."""
        if self.out is None:
            return
        progress = self.progress
        if self.accelerator.is_main_process:
            rows = ((number, *epoch.row().values()) for number, epoch in enumerate(progress.history, start=1))
            write_csv(self.out / run.METRICS, [("epoch", *progress.history[0].row()), *rows])
            for name, value in progress.history[-1].row().items():
                self.board.add_scalar(name, value, progress.epoch)
            self.board.flush()
        if progress.history[-1].score >= max(epoch.score for epoch in progress.history):
            self._save_weights("best")
        self.accelerator.wait_for_everyone()
        if progress.epoch == self.recipe.epochs:
            self._save()

    def _save(self) -> None:
        assert self.out is not None
        content = self.content.state_dict()
        if self.accelerator.is_main_process:
            self.state = run.save_state(self.out, self.progress, content, self.state)
        self.accelerator.wait_for_everyone()
        self.saved_at = time.monotonic()

    def _save_weights(self, name: str) -> None:
        assert self.out is not None
        kept = self._kept_model()
        weights = self.accelerator.get_state_dict(kept) if self.sharded else kept.state_dict()
        if self.accelerator.is_main_process:
            self.task.save(self.plain, weights, self.out / name, self.progress.history)

    def _kept_model(self) -> nn.Module:
        """Return the model that is evaluated and kept."""
        if self.average is not None:
            return self.average.module
        return self.model if self.sharded else self.plain

    def _number(self) -> int:
        return self.progress.epoch * self.updates + self.progress.update

    def _any(self, condition: bool) -> bool:
        """Return whether a condition holds in any process."""
        if condition:
            self.accelerator.set_trigger()
        return self.accelerator.check_trigger()

    def _count_broken(self, names: list[str]) -> None:
        for name in set(names) - self.progress.broken:
            log.warning("%s does not decode: another image takes its place", name)
        self.progress.broken.update(names)
        broken, images = len(self.progress.broken), self.task.images
        if broken > self.recipe.broken_share * images:
            raise ValueError(
                f"{broken} of {images} training images do not decode, more than broken_share="
                f"{self.recipe.broken_share} allows; {sorted(self.progress.broken)[0]} is one"
            )

    def _rate(self) -> float:
        """Return the learning rate of the last update, of layers whose rate does not decay."""
        return max(group["lr"] for group in self.optimizer.param_groups)

    def kept(self) -> str:
        """Say what there is to go on from."""
        return f"the last good state is {self.state}" if self.state else "no state was written yet"
