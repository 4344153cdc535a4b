"""Every Triton kernel compiles for cards that are not here. Not in this process: it interprets the kernels."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("triton")


@pytest.mark.parametrize(
    ("capabilities", "types", "kept"),
    [("75 80 90 100", "float32", "16 32 64"), ("80 90", "float16 bfloat16", "16 64")],
)
def test_every_kernel_compiles_and_spills_nothing(capabilities: str, types: str, kept: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    words = ["--capabilities", *capabilities.split(), "--types", *types.split(), "--kept", *kept.split()]
    command = [sys.executable, "-m", "benchmarks.kernels", *words, "--out", str(tmp_path / "kernels.json")]
    subprocess.run(command, check=True, env=environment, cwd=ROOT)
    found = json.loads((tmp_path / "kernels.json").read_text())
    found.pop("machine")
    for name, rows in found.items():
        assert len(rows) == len(capabilities.split()) * len(types.split())
        for where, row in rows.items():
            assert row["spilled bytes"] == 0 and 0 < row["registers"] < 256, (name, where, row)
            assert (row["atomics"] > 0) == (name in ("max, backward", "sum, backward")), (name, where, row)


def test_no_kernel_is_left_out() -> None:
    kernels = {
        name
        for file in (ROOT / "vig_pyg" / "kernels" / "triton").glob("*.py")
        for name in re.findall(r"def (_\w+_kernel)\(", file.read_text())
    }
    tried = (ROOT / "benchmarks" / "kernels.py").read_text()
    assert kernels and all(f".{name}," in tried for name in kernels)
