"""What models cost on this machine, measured once and kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock
from torch import Tensor, nn

from vig_pyg.study.cost import count_macs, count_parameters, milliseconds_per_image, peak_megabytes, without_computing
from vig_pyg.train.run import write_whole


class Cost(NamedTuple):
    """Parameters, multiply-accumulates per image, and the time per image and memory of a batch in evaluation mode."""

    parameters: int
    macs: int
    ms_per_image: float
    megabytes: float


def measure_costs(folder: Path, models: Mapping[str, Callable[[], nn.Module]], images: Tensor) -> dict[str, Cost]:
    """Return what every model costs; what was measured before is read, the others are measured in turn and kept.

    Args:
        folder: One file per model.
        models: How to build each, by the name of its file.
        images: The batch to measure with, on the device to measure on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "measuring.lock"):  # two at once would disturb each other
        missing = [name for name in models if not _file(folder, name).is_file()]
        built = {name: models[name]().to(images.device) for name in missing}
        times = milliseconds_per_image(built, images)
        for name, model in built.items():
            macs = without_computing(count_macs, models[name], images[:1])
            cost = Cost(count_parameters(model), macs, times[name], peak_megabytes(model, images))
            write_whole(_file(folder, name), lambda path, cost=cost: path.write_text(json.dumps(cost._asdict())))  # type: ignore[misc]
    return {name: Cost(**json.loads(_file(folder, name).read_text())) for name in models}


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"
