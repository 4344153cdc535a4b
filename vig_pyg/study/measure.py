"""What models cost on this machine, measured once and kept."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock
from torch import Tensor, nn

from vig_pyg.files import write_whole
from vig_pyg.machine import describe_machine
from vig_pyg.manifest import DamagedError, sealed, unseal
from vig_pyg.study.cost import count_macs, count_parameters, milliseconds_per_image, peak_megabytes, without_computing

log = logging.getLogger(__name__)


class Cost(NamedTuple):
    """Parameters, multiply-accumulates per image, and the time per image and memory of a batch in evaluation mode."""

    parameters: int
    macs: int
    ms_per_image: float
    megabytes: float


def measure_costs(folder: Path, models: Mapping[str, Callable[[], nn.Module]], images: Tensor) -> dict[str, Cost]:
    """Return what every model costs: all are measured in turn, or read where this machine measured just these before.

    Args:
        folder: A file for these models on this machine.
        models: How to build each, by a name that says all about it.
        images: The batch to measure with, on the device to measure on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    decides = {**describe_machine(), "date": None, "device": str(images.device), "shape": [*images.shape]}
    together = json.dumps({**decides, "models": sorted(models)}, sort_keys=True)
    file = folder / f"{hashlib.sha256(together.encode()).hexdigest()[:16]}.json"
    with FileLock(folder / "measuring.lock"):  # two at once would disturb each other
        if _damaged(file):
            built = {name: build().to(images.device) for name, build in models.items()}
            times = milliseconds_per_image(built, images)
            costs = {}
            for name, model in built.items():
                macs = without_computing(count_macs, models[name], images[:1])
                costs[name] = Cost(count_parameters(model), macs, times[name], peak_megabytes(model, images))._asdict()
            write_whole(file, lambda path: path.write_text(sealed(costs)))
    return {name: Cost(**cost) for name, cost in unseal(file).items()}


def _damaged(file: Path) -> bool:
    """Return whether a file must be written, again or for the first time."""
    try:
        return not (file.is_file() and unseal(file))
    except DamagedError as error:
        log.warning("%s; the costs are measured again", error)
        return True
