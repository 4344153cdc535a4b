"""Everything that needs a graphics card, in one command: ``python -m benchmarks.gpu [--minutes 8]``.

It checks every kernel against its definition and measures it against the time that its bytes take, says which backend
``"auto"`` should choose on this card, and measures the models. What matters most comes first: what time did not suffice
for is in the results as well, as not measured. Compiling takes about a minute per contender; with ``--minutes 60`` all
rows have their time.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from benchmarks.gpu_kernels import SHAPES, Wrong, measure
from benchmarks.measure import save, summarize
from benchmarks.speed import inference, model_contenders, training_step
from vig_pyg.study.cost import in_turn

PRECISIONS = ("float32", "tf32", "bf16")
NOT_MEASURED = "not measured: time was over"
MINUTES_OF_ROW = {False: 0.5, True: 3}  # at most, of an eager and of a compiled row


class Row(NamedTuple):
    """What is measured in turn: all contenders for a model, alike."""

    model: str
    training: bool
    precision: str
    batch: int
    compiled: bool

    def __str__(self) -> str:
        what = "training step" if self.training else "inference"
        return f"{self.model}, {what}, {self.precision}, batch {self.batch}, {'compiled' if self.compiled else 'eager'}"

    @property
    def contenders(self) -> list[str]:
        """Who takes part: ours with batch norms folded where nothing is learned."""
        names = ["dense", "ours" if self.training else "fused", "deit_tiny"]
        packages = all(find_spec(name) for name in ("torch_cluster", "torch_scatter"))
        textbook = self.model == "vig_tiny" and not self.compiled and packages
        return [*names, "textbook"] if textbook else names


def plan(batches: Iterable[int] = (128, 32, 1)) -> list[Row]:
    """Return all rows: eager ones, which are quick, then compiled ones, and of both what was promised (bf16) first."""
    rows = [
        Row(model, training, precision, batch, compiled)
        for model in ("vig_tiny", "pvig_tiny")
        for training in (False, True)
        for precision in PRECISIONS
        for batch in batches
        for compiled in (False, True)
        if not (training and batch == 1)  # batch norm of the pooled features needs two images
    ]
    return sorted(rows, key=lambda row: (row.compiled, row.precision != "bf16" or row.batch != max(batches)))


@contextmanager
def computing_in(precision: str, device: str) -> Iterator[None]:
    """Within it, products are computed in float32, in float32 by TF32, or in bfloat16 by autocast."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    half: AbstractContextManager = torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")
    try:
        with half:
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def within(precision: str, device: str, call: Callable[[], object]) -> Callable[[], object]:
    """Return the call, computed in a precision."""

    def run() -> object:
        with computing_in(precision, device):
            return call()

    return run


def megabytes(call: Callable[[], object]) -> float:
    """Return the most memory (MB) of the card that a call takes beside what is there before it."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return round((torch.cuda.max_memory_allocated() - before) / 1e6)


def calls_of(row: Row, device: str) -> tuple[dict[str, Callable[[], object]], dict[str, str]]:
    """Return what every contender of a row does, each tried once, and why others cannot."""
    images = torch.randn(row.batch, 3, 224, 224, device=device)
    step = training_step if row.training else inference
    calls, failed = {}, {}
    for name, model in model_contenders(row.model, row.contenders).items():
        moved: nn.Module = model.to(device)
        call = within(row.precision, device, step(torch.compile(moved) if row.compiled else moved, images))
        try:
            call()
        except Exception as error:  # of a library that was built without this card, say: others are still measured
            failed[name] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        else:
            calls[name] = call
    return calls, failed


def measured(row: Row, rounds: int, device: str) -> dict[str, object]:
    """Return milliseconds per image, ratios and, of training steps on a card, memory."""
    calls, failed = calls_of(row, device)
    rows: dict[str, dict[str, float]] = {}
    if calls:
        rows = summarize(in_turn(calls, rounds, device), "dense" if "dense" in calls else next(iter(calls)))
    for name, found in rows.items():
        found["ms"] = round(found["ms"] / row.batch, 4)
        if row.training and device != "cpu":
            found["MB"] = megabytes(calls[name])
    return {**rows, **failed}


def measure_models(rows: Iterable[Row], rounds: int, device: str, until: float) -> dict[str, object]:
    """Measure rows in turn that will be done at a time of the clock, and say which were not measured."""
    results: dict[str, object] = {}
    for row in rows:
        if time.monotonic() + 60 * MINUTES_OF_ROW[row.compiled] > until:
            results[str(row)] = NOT_MEASURED
            continue
        torch.compiler.reset()
        results[str(row)] = found = measured(row, rounds, device)
        print(row, found, flush=True)
    return results


def main(words: list[str] | None = None) -> int:
    """Check, measure and save; return the status that the command ends with."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=8, help="rows of models that would take longer are left out")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args(words)
    if not torch.cuda.is_available():
        print("benchmarks.gpu measures on a CUDA device, and torch finds none here", file=sys.stderr)
        return 2
    until = time.monotonic() + 60 * args.minutes
    torch.manual_seed(0)
    card = torch.cuda.get_device_name().replace(" ", "-").lower()
    results: dict[str, object] = {}
    file = args.out / f"gpu-{card}.json"
    try:
        with computing_in("float32", "cuda"):
            results["kernels"], results["fastest, and what auto takes"] = measure(args.rounds, "cuda", SHAPES)
    except Wrong as error:
        print(error, file=sys.stderr)
        return 1
    save(file, results)  # what is known, should the rest fail
    results["models"] = measure_models(plan(), args.rounds, "cuda", until)
    save(file, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
