"""What a model costs: parameters, multiply-accumulates, time, memory."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import statistics
import time
from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import torch
from filelock import FileLock
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torch_geometric.data import Batch

from vig_pyg.files import write_whole
from vig_pyg.machine import describe_machine
from vig_pyg.manifest import DamagedError, sealed, unseal

log = logging.getLogger(__name__)

Result = TypeVar("Result")
InputsT = TypeVar("InputsT", Tensor, Batch)
Name = TypeVar("Name")
Inputs: TypeAlias = Tensor | Batch
"""Images ``[B, C, H, W]``, or a batch of graphs, where costs are means over its graphs."""


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@torch.no_grad()
def count_macs(model: nn.Module, images: Inputs) -> int:
    """Return multiply-accumulates per image or graph in evaluation mode: half of what torch's flop counter counts.

    Graphs are counted one by one: in a batch the smaller may be padded.
    """
    training = model.training
    with FlopCounterMode(display=False) as counter:
        for each in [images] if isinstance(images, Tensor) else images.to_data_list():
            model.eval()(each)
    model.train(training)
    return counter.get_total_flops() // 2 // count_of(images)


def count_of(images: Inputs) -> int:
    """Return the number of images or graphs."""
    return len(images) if isinstance(images, Tensor) else images.num_graphs


def device_of(images: Inputs) -> torch.device:
    """Return where images or graphs are."""
    return images.device if isinstance(images, Tensor) else images.batch.device


def shape_of(images: Inputs) -> list[int]:
    """Return what decides how long a batch takes: its shape, or its graphs, nodes and edges."""
    if isinstance(images, Tensor):
        return [*images.shape]
    return [images.num_graphs, images.num_nodes, images.num_edges]


def without_computing(
    measure: Callable[[nn.Module, InputsT], Result], build: Callable[[], nn.Module], images: InputsT
) -> Result:
    """Measure a model on the device meta, where nothing is computed and nothing fused.

    Operators and graphs that look at values or move them, as some of PyG's do, cannot be there: they compute.
    """
    try:
        with torch.device("meta"):
            return measure(build(), copy(images).to("meta"))  # PyG moves a graph itself
    except (RuntimeError, ValueError):  # NotImplementedError is one; what is wrong elsewhere too is raised again
        return measure(build(), images.cpu())


def in_turn(
    calls: Mapping[Name, Callable[[], object]], rounds: int, device: torch.device | str = "cpu"
) -> dict[Name, list[float]]:
    """Make the calls A B C A B C … and return the milliseconds that each took, after one round for warming up."""
    times: dict[Name, list[float]] = {name: [] for name in calls}
    for round_ in range(-1, rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if torch.device(device).type == "cuda":
                torch.cuda.synchronize(device)
            if round_ >= 0:
                times[name].append((time.perf_counter() - start) * 1e3)
    return times


@torch.no_grad()
def milliseconds_per_image(models: Mapping[str, nn.Module], images: Inputs, rounds: int = 7) -> dict[str, float]:
    """Return each model's median time per image or graph in evaluation mode, all models measured in turn."""
    calls = {name: partial(model.eval(), images) for name, model in models.items()}
    times = in_turn(calls, rounds, device_of(images))
    return {name: statistics.median(values) / count_of(images) for name, values in times.items()}


def peak_megabytes(model: nn.Module, images: Inputs) -> float:
    """Return the most memory (MiB) that a forward pass in evaluation mode takes beside weights and images."""
    return peak_of(partial(model.eval(), images), device_of(images))


@torch.no_grad()
def peak_of(call: Callable[[], object], device: torch.device) -> float:
    """Return the most memory (MiB) that a call takes beside what there was before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it complains where there is no GPU
    cpu = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=cpu, profile_memory=True, acc_events=True) as profile:  # else it warns
        call()
    assert profile.profiler is not None and profile.profiler.kineto_results is not None
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    taken = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        taken += event.nbytes()
        highest = max(highest, taken)
    return highest / 2**20


class Cost(NamedTuple):
    """Parameters, multiply-accumulates and time per image or graph, and the memory of a batch in evaluation mode."""

    parameters: int
    macs: int
    ms_per_image: float
    megabytes: float


def measure_costs(
    folder: Path,
    models: Mapping[str, Callable[[], nn.Module]],
    images: Inputs,
    prepare: Callable[[nn.Module], nn.Module] = lambda model: model,
) -> dict[str, Cost]:
    """Return what every model costs: all are measured in turn, or read where this machine measured just these before.

    Args:
        folder: A file for these models on this machine.
        models: How to build each, by a name that says all about it.
        images: The batch to measure with, on the device to measure on.
        prepare: Makes a model ready for what takes time and memory.
    """

    def measure() -> dict[str, Any]:
        built, parameters = {}, {}
        for name, build in models.items():
            model = build()
            parameters[name] = count_parameters(model)
            built[name] = prepare(model.to(device_of(images)))
        times, costs = milliseconds_per_image(built, images), {}
        counted = images[:1] if isinstance(images, Tensor) else images  # images are alike, graphs are not
        for name, model in built.items():
            macs = without_computing(count_macs, models[name], counted)
            costs[name] = Cost(parameters[name], macs, times[name], peak_megabytes(model, images))._asdict()
        return costs

    found = measured_once(folder, {"models": sorted(models)}, images, measure)
    return {name: Cost(**cost) for name, cost in found.items()}


def measured_once(
    folder: Path, decides: Mapping[str, Any], images: Inputs, measure: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return what was measured, or read it where this machine measured the same before.

    Args:
        folder: A file for each.
        decides: What the result depends on beside the machine and the images.
        images: The batch to measure with, on the device to measure on.
        measure: Returns what to keep.
    """
    folder.mkdir(parents=True, exist_ok=True)
    machine = {**describe_machine(), "date": None, "device": str(device_of(images)), "shape": shape_of(images)}
    together = json.dumps({**machine, **decides}, sort_keys=True)
    file = folder / f"{hashlib.sha256(together.encode()).hexdigest()[:16]}.json"
    with FileLock(folder / "measuring.lock"):  # two at once would disturb each other
        found = read_kept(file, "the costs are measured again")
        if found is None:
            found = measure()
            write_whole(file, lambda path: path.write_text(sealed(found)))
    return found


def read_kept(file: Path, otherwise: str) -> dict[str, Any] | None:
    """Return what a sealed file holds, None without one; a damaged file is named with what is done, and gives None."""
    try:
        return unseal(file) if file.is_file() else None
    except DamagedError as error:
        log.warning("%s; %s", error, otherwise)
        return None
