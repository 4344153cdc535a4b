"""How everything here is measured: in one process, contenders in turn, medians and the spread of ratios."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch

from vig_pyg.machine import describe_machine

Name = TypeVar("Name")


def in_turn(
    contenders: Mapping[Name, Callable[[], object]], rounds: int, device: str = "cpu"
) -> dict[Name, list[float]]:
    """Call the contenders A B C A B C … and return the milliseconds of every call, after one round of warming up."""
    times: dict[Name, list[float]] = {name: [] for name in contenders}
    for round_ in range(-1, rounds):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            if round_ >= 0:
                times[name].append((time.perf_counter() - start) * 1e3)
    return times


def summarize(times: Mapping[str, list[float]], against: str) -> dict[str, dict[str, float]]:
    """Return medians, and how many times as fast as ``against`` each is: median, lowest and highest of the rounds."""
    rows = {}
    for name, values in times.items():
        ratios = [other / own for other, own in zip(times[against], values, strict=True)]
        rows[name] = {
            "ms": round(statistics.median(values), 3),
            "times as fast": round(statistics.median(ratios), 3),
            "lowest": round(min(ratios), 3),
            "highest": round(max(ratios), 3),
        }
    return rows


def save(path: Path, results: Mapping[str, object]) -> None:
    """Write results, with the machine beside them, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": describe_machine(), **results}, indent=1) + "\n")


def peak_memory(code: str, environment: Mapping[str, str] | None = None) -> float:
    """Return the highest resident memory, in MB, of a fresh Python process that runs ``code`` (Linux).

    ``environment`` holds variables to set for it.
    """
    program = f"{code}\nprint([line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1])"
    variables = os.environ | (environment or {})
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=variables)
    return int(out.stdout.split()[-1]) / 1024
