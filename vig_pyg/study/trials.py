"""The trainings that studies are made of. Each is done once, by whoever comes first, and kept."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeAlias, cast

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn
from torch_geometric.data import Data

from vig_pyg.conv import get_conv
from vig_pyg.data.graph_sets import GraphData, load_graphs
from vig_pyg.files import write_whole
from vig_pyg.graph import ImageGraph, get_graph
from vig_pyg.machine import source_hash
from vig_pyg.manifest import sealed
from vig_pyg.models.vision_gnn import VisionGNN
from vig_pyg.study.cost import Inputs, read_kept
from vig_pyg.study.diversity import layer_diversity
from vig_pyg.study.views import neighbor_graphs
from vig_pyg.tasks import Recipe, Task, get_task
from vig_pyg.tasks.graphs import GraphRecipe
from vig_pyg.train import ClassificationData, Epoch, accelerator_for, fit
from vig_pyg.train.run import MAY_CHANGE, describe

StudyData: TypeAlias = ClassificationData | GraphData

DIVERSITY_IMAGES = 4
KEPT = ("pos", "pos_source", "edge_index", "edge_weight", "members", "grid")  # of a graph
IDLE_SECONDS = 20  # a worker whose parent was killed finishes its trial and ends


@dataclass(frozen=True)
class Trial:
    """One training, and whether the diversity of every layer is measured after it. Equal trials give equal results."""

    recipe: Recipe
    diversity: bool = False

    @cached_property
    def key(self) -> str:
        """A hash of all that decides the result, the code too; images are known by the name of their data set."""
        decides: dict[str, Any] = {name: v for name, v in asdict(self.recipe).items() if name not in MAY_CHANGE}
        conv, graph = self.recipe.conv, self.recipe.graph
        parts = [get_conv(conv) if conv else None, get_graph(graph) if graph else None]
        decides |= {"diversity": self.diversity, "parts": [_source(part) for part in parts], "code": source_hash()}
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]

    def task(self, data: StudyData) -> Task:
        """Return what is learned, in this process alone."""
        return get_task(self.recipe.task)(data, replace(self.recipe, workers=0))

    def build(self, data: StudyData) -> nn.Module:
        """Return the untrained model."""
        return get_task(self.recipe.task).build_model(self.recipe, data)

    def outline(self, data: StudyData) -> nn.Module:
        """Return the model without values, on the device meta."""
        with torch.device("meta"):
            return self.build(data)

    def sample(self, data: StudyData, count: int) -> Inputs:
        """Return the first held-out images ``[count, C, H, W]``, or as many graphs, as the model gets them."""
        return next(iter(self.task(data).test_loader(self.outline(data), count))).images

    def pictured(self, data: StudyData) -> Tensor | Data:
        """Return the first held-out image ``[C, H, W]`` as the model gets it, or graph with all that it holds."""
        if isinstance(data, GraphData):
            return copy(data.test[0])  # PyG moves a graph itself
        images = self.sample(data, 1)
        assert isinstance(images, Tensor)
        return images[0]


@dataclass(frozen=True)
class Result:
    """What a trial gave."""

    epochs: list[Epoch]
    diversity: list[float] | None
    """``[layers]``, a mean over images, where it was asked for."""
    graphs: list[ImageGraph] = field(default_factory=list)
    """Of the first held-out image or graph, one per block."""

    @property
    def accuracy(self) -> float:
        """The share of held-out images, graphs or nodes that the last epoch's model classified correctly."""
        return self.epochs[-1].accuracy


_graphs = lru_cache(maxsize=1)(load_graphs)


def load(recipe: Recipe) -> StudyData:
    """Return what to train on; graphs, which may take seconds to make, are kept for the next trial."""
    if isinstance(recipe, GraphRecipe):
        return _graphs(recipe.data, recipe.data_root)
    return get_task(recipe.task).load_data(recipe)


def read_result(folder: Path, trial: Trial) -> Result | None:
    """Return what a finished trial gave, or None; a damaged file is named and gives None as well."""
    content = read_kept(_file(folder, trial), "this trial is trained again")
    if content is None:
        return None
    graphs = [ImageGraph(**{key: torch.tensor(v) for key, v in graph.items()}) for graph in content["graphs"]]
    return Result([Epoch(*epoch.values()) for epoch in content["epochs"]], content["diversity"], graphs)


def run_trials(
    folder: Path,
    trials: Sequence[Trial],
    device: str = "cpu",
    jobs: int = 1,
    on_trial: Callable[[Trial], None] = lambda _: None,
) -> None:
    """Train the trials that are not finished; return when all are, by this process or by others.

    Processes and machines that share the folder share the work: whoever holds a trial's lock trains it. The operating
    system frees the lock of a process that ends, however it ends.

    Args:
        folder: One file per finished trial; its file system must know locks.
        trials: What to train.
        device: Where to train.
        jobs: Processes to start for it.
        on_trial: Called after every trial.
    """
    from joblib import Parallel, delayed

    (folder / "locks").mkdir(parents=True, exist_ok=True)
    missing: dict[str, Trial] = {}
    seen: set[str] = set()
    for key, trial in {trial.key: trial for trial in trials}.items():
        if read_result(folder, trial) is None:
            missing[key] = trial
        else:
            on_trial(trial)
    turns = ((wait, key) for wait in (False, True) for key in missing)
    tasks = (delayed(_run_trial)(folder, missing[key], device, wait) for wait, key in turns if key not in seen)
    jobs = max(1, min(jobs, len(missing)))
    options = {"idle_worker_timeout": IDLE_SECONDS} if jobs > 1 else {}
    parallel = Parallel(jobs, return_as="generator_unordered", batch_size=1, pre_dispatch=jobs, **options)
    for finished in parallel(tasks):
        if finished is not None and finished not in seen:
            seen.add(finished)
            on_trial(missing[finished])


def _run_trial(folder: Path, trial: Trial, device: str, wait: bool) -> str | None:
    """Train a trial unless it is finished, and return its key; None for one that another process trains."""
    try:
        with FileLock(folder / "locks" / trial.key, blocking=wait):
            if read_result(folder, trial) is None:
                _train(folder, trial, device)
    except Timeout:
        return None
    return trial.key


def _train(folder: Path, trial: Trial, device: str) -> None:
    recipe = trial.recipe
    data = load(recipe)
    with ExitStack() as after:
        if device == "cpu":  # trials side by side use cores better, and results do not depend on how many there are
            after.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
        torch.manual_seed(recipe.seed)
        model = trial.build(data)
        accelerator = accelerator_for(recipe, device)
        epochs = fit(model, data, recipe, accelerator=accelerator)
        images = trial.sample(data, DIVERSITY_IMAGES).to(accelerator.device)
        diversity = layer_diversity(model, images).mean(1).tolist() if trial.diversity else None
        graphs = neighbor_graphs(cast(VisionGNN, model), trial.pictured(data).to(accelerator.device))
    content = {
        "recipe": asdict(recipe),
        "epochs": [epoch._asdict() for epoch in epochs],
        "diversity": diversity,
        "graphs": [{key: graph[key].tolist() for key in KEPT if key in graph} for graph in graphs],
        **describe(recipe),
    }
    file = _file(folder, trial)
    write_whole(file.with_suffix(".yaml"), recipe.save)
    write_whole(file, lambda path: path.write_text(sealed(content)))


def leave_group() -> tuple[int, int]:
    """Leave the group of processes that ``accelerate launch`` made; return the rank in it and its size.

    Every process then trains trials of its own, on the device of its local rank.
    """
    named = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0}
    rank, size, local = (int(os.environ.pop(name, default)) for name, default in named.items())
    for name in ("LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(name, None)
    if torch.cuda.is_available():
        torch.cuda.set_device(local)
    return rank, size


def _source(part: Callable[..., Any] | None) -> str | None:
    """Return the source of a user's operator or graph, the module's, so that another version makes another trial."""
    module = getattr(part, "__module__", "vig_pyg")
    if part is not None and not module.startswith("vig_pyg"):
        with suppress(OSError, TypeError):  # a notebook is no file
            return inspect.getsource(sys.modules[module])
    return None


def _file(folder: Path, trial: Trial) -> Path:
    recipe = trial.recipe
    conv = (recipe.conv or "own").replace(":", ".")
    return folder / f"{recipe.model}-{conv}-{recipe.seed}-{trial.key}.json"
