"""How everything here is measured: contenders in turn in one process, medians and the spread of ratios, memory."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from vig_pyg.machine import describe_machine


def summarize(times: Mapping[str, list[float]], against: str) -> dict[str, dict[str, float]]:
    """Return medians, and how many times as fast as ``against`` each is: median, lowest and highest of the rounds."""
    frame = pd.DataFrame(times)
    ratios = frame.rdiv(frame[against], axis="index")
    fast = {"times as fast": ratios.median(), "lowest": ratios.min(), "highest": ratios.max()}
    return pd.DataFrame({"ms": frame.median(), **fast}).round(3).to_dict("index")  # type: ignore[return-value]


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
