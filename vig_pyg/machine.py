"""What a figure depends on beside the code: the machine and the versions of what is installed."""

from __future__ import annotations

import hashlib
import os
import platform
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

PACKAGES = (
    "vig_pyg",
    "torch",
    "torchvision",
    "torch_geometric",
    "torch_cluster",
    "torch_scatter",
    "timm",
    "accelerate",
    "numpy",
)


def describe_machine() -> dict[str, object]:
    """Return the date, the processor, its cores and torch's threads, the GPU and the versions that are installed."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "versions": {package: installed_version(package) for package in PACKAGES},
    }


def installed_version(package: str) -> str | None:
    """Return the version of a package, or None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def source_hash() -> str:
    """Return the SHA-256 of the source code of this package."""
    package, digest = Path(__file__).parent, hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(f"{file.relative_to(package)}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # Linux; elsewhere Python knows
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
