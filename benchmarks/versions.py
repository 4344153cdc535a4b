"""This checkout against another one: ``python -m benchmarks.versions PATH`` of a checkout of another version.

Each version runs in a process of its own; the two take turns, so that both see the same machine. Where a process is in
memory makes it up to 5 % faster or slower for as long as it runs, so both are started several times.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import peak_memory, save, summarize
from vig_pyg.study.cost import in_turn

HERE = Path(__file__).parents[1]
MODELS = ("vig_tiny", "pvig_tiny")
TASKS = [f"{model}, {what}" for model in MODELS for what in ("inference", "training step")]
# What is freed stays with the process: else each starts with another number of page faults per call, 5 000 to 18 000.
KEPT = {"MALLOC_MMAP_THRESHOLD_": str(1 << 25), "MALLOC_TRIM_THRESHOLD_": str(1 << 32)}
FREED_AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}  # so that nothing counts that only the allocator keeps
STEP = """
import timm, torch, vig_pyg
torch.manual_seed(0)
model = timm.create_model({model!r})
model.train()(torch.randn(32, 3, 224, 224)).square().mean().backward()
"""


def start(checkout: Path, batch: int) -> tuple[subprocess.Popen[str], Callable[[str], object]]:
    """Start a process with the package of a checkout; return it and what has it run a task."""
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("answer.py"), str(batch), *MODELS],
        env=os.environ | {"PYTHONPATH": str(checkout), **KEPT},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    assert process.stdin is not None and process.stdout is not None
    commands, answers = process.stdin, process.stdout

    def expect(word: str, what: str) -> None:
        if answers.readline() != f"{word}\n":
            raise RuntimeError(f"the version in {checkout} failed at {what}")

    def run(task: str) -> None:
        print(task, file=commands, flush=True)
        expect("done", task)

    expect("ready", "its start")
    return process, run


def times_of_one_start(checkouts: dict[str, Path], batch: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Start a process per version and return the milliseconds of every call, by task and version."""
    started = {name: start(checkout, batch) for name, checkout in checkouts.items()}
    times = {task: in_turn({name: partial(run, task) for name, (_, run) in started.items()}, rounds) for task in TASKS}
    for process, _ in started.values():
        process.communicate()
    return times


def main() -> None:
    """Measure speed and memory of both versions and save them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="folder of a checkout of another version")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--starts", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=8, help="calls of each task in a process")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/versions-cpu.json"))
    args = parser.parse_args()
    checkouts = {"other": args.other.resolve(), "this": HERE}
    all_times = [
        times_of_one_start(dict(sorted(checkouts.items(), reverse=bool(turn % 2))), args.batch, args.rounds)
        for turn in range(args.starts)
    ]
    results: dict[str, object] = {}
    for task in TASKS:
        times = {name: [each for start_ in all_times for each in start_[task][name]] for name in checkouts}
        results[task] = rows = summarize(times, "other")
        print(f"{task}: this version {rows['this']['times as fast']} times as fast as the other", rows["this"])
    for model in MODELS:
        results[f"{model}, training step at batch 32, MB"] = peaks = {
            name: round(peak_memory(STEP.format(model=model), {"PYTHONPATH": str(checkout), **FREED_AT_ONCE}))
            for name, checkout in checkouts.items()
        }
        print(f"{model}, a training step at batch 32: {peaks} MB")
    save(args.out, results)


if __name__ == "__main__":
    main()
