"""Registers, shared memory and spills of every Triton kernel: ``python -m benchmarks.kernels --help``.

Kernels are compiled to machine code as the library launches them, for cards that need not be there.
"""

import argparse
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import get_ptxas, sm_arch_from_capability
from triton.compiler import ASTSource, CompiledKernel

from benchmarks.measure import save
from vig_pyg.kernels.triton import reduce, search

CAPABILITIES = (75, 80, 90, 100)
TYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
KEPT = (16, 32, 64, 128)
CHANNELS = 256  # from this many on, a program takes as many
FEATURES = "features"  # stands for the type of the features
GRAPH = {"ptr": "*i64", "index": "*i64", "channels": "i32"}
BY_SOURCE = {"ptr": "*i64", "back": "*i64", "order": "*i64", "target": "*i64", "channels": "i32"}
WIDE = {"BLOCK": CHANNELS, "WIDE": tl.float32}
EXTREMUM = {"LARGEST": True, "RELATIVE": True, "WITH_SLOT": True, **WIDE}


class Kernel(NamedTuple):
    """A kernel with the types of its arguments and its constants."""

    function: Any
    types: dict[str, str]
    constants: dict[str, Any]
    num_warps: int = 4


REDUCTIONS = {
    "max": Kernel(
        reduce._extremum_kernel, {"x": FEATURES, "center": FEATURES, "out": FEATURES, "slots": "*u8", **GRAPH}, EXTREMUM
    ),
    "max, backward": Kernel(
        reduce._extremum_backward_kernel,
        {"grad": FEATURES, "slots": "*u8", "grad_x": "*fp32", **GRAPH},
        {"BLOCK": CHANNELS},
    ),
    "max, backward by source": Kernel(
        reduce._extremum_backward_by_source_kernel,
        {"grad": FEATURES, "slots": "*u8", "grad_x": FEATURES, **BY_SOURCE},
        WIDE,
    ),
    "sum": Kernel(reduce._sum_kernel, {"x": FEATURES, "out": FEATURES, **GRAPH}, WIDE),
    "sum, backward": Kernel(
        reduce._sum_backward_kernel, {"grad": FEATURES, "grad_x": "*fp32", **GRAPH}, {"BLOCK": CHANNELS}
    ),
}


def searches(kept: list[int]) -> dict[str, Kernel]:
    """Return the search for as many neighbors, with positions as one table, and by rows and columns."""
    names = ("num_queries", "num_keys", "channels", "k", "width", "key_height", "key_width")
    tables = {"bias": "*fp32", "columns": "*fp32"}
    types = {"queries": FEATURES, "keys": FEATURES, **tables, "out": "*i64", **dict.fromkeys(names, "i32")}
    found = {}
    for bias, title in (("table", ""), ("axes", " by axes")):
        for k in kept:
            constants: dict[str, Any] = {"BIAS": bias, "LOOP": False, **search.launch(k, bias == "axes")}
            warps = constants.pop("num_warps")
            found[f"search{title}, {k} kept"] = Kernel(search._nearest_kernel, types, constants, warps)
    return found


def compiled(kernel: Kernel, features: str, capability: int) -> CompiledKernel:
    """Return machine code for features of a type (in Triton's words) on cards of a compute capability (90 for 9.0)."""
    names = kernel.function.arg_names
    of_argument = {n: f"*{features}" if kernel.types.get(n) == FEATURES else kernel.types.get(n) for n in names}
    source = ASTSource(
        fn=kernel.function,
        signature={name: of_argument[name] or "constexpr" for name in names},
        constexprs={(names.index(name),): value for name, value in kernel.constants.items()},
        attrs={(i,): [["tt.divisibility", 16]] for i, n in enumerate(names) if (of_argument[n] or "").startswith("*")},
    )
    target = GPUTarget("cuda", capability, 32)
    return triton.compile(source, target=target, options={"num_warps": kernel.num_warps})


def resources(code: CompiledKernel, capability: int) -> dict[str, int]:
    """Return what a kernel takes of a card, and how many of its instructions are atomic."""
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(code.asm["ptx"])
        file.flush()
        target = ["--gpu-name", sm_arch_from_capability(capability), "-o", "/dev/null"]
        words = [get_ptxas(capability).path, "-v", *target, file.name]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stderr
    numbers = {"registers": r"Used (\d+) registers", "spilled bytes": r"(\d+) bytes spill stores"}
    found = {name: int(re.findall(pattern, said)[0]) for name, pattern in numbers.items()}
    atomics = len(re.findall(r"\b(?:atom|red)\.", code.asm["ptx"]))
    return {**found, "shared bytes": code.metadata.shared, "atomics": atomics}


def main() -> None:
    """Compile all kernels for all capabilities and types, and save what they take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--capabilities", nargs="+", type=int, default=CAPABILITIES)
    parser.add_argument("--types", nargs="+", choices=TYPES, default=list(TYPES))
    parser.add_argument("--kept", nargs="+", type=int, default=KEPT)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/kernels.json"))
    args = parser.parse_args()
    results: dict[str, dict[str, dict[str, int]]] = {}
    for name, kernel in (REDUCTIONS | searches(args.kept)).items():
        rows = results.setdefault(name, {})
        for capability in args.capabilities:
            for features in args.types:
                code = compiled(kernel, TYPES[features], capability)
                rows[f"{capability / 10:.1f}, {features}"] = resources(code, capability)
        print(name, json.dumps(rows))
    save(args.out, results)


if __name__ == "__main__":
    main()
