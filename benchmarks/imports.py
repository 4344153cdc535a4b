"""How long ``import vig_pyg`` takes beside torch and torch_geometric themselves: ``python -m benchmarks.imports``."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import save, summarize

IMPORTS = {
    "torch and torch_geometric": "import torch, torch_geometric",
    "and timm": "import torch, torch_geometric, timm",
    "vig_pyg": "import vig_pyg",
}


def seconds(statement: str, absent: tuple[str, ...] = ()) -> float:
    """Return how long a fresh process takes for a statement, with packages that it does not find."""
    hidden = "".join(f"sys.modules[{name!r}] = None; " for name in absent)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import sys; {hidden}{statement}"], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure in turn, without the extra ``cluster``, and save what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    for statement in IMPORTS.values():
        seconds(statement)
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(args.rounds):
        for name, statement in IMPORTS.items():
            times[name].append(1000 * seconds(statement, ("torch_cluster", "torch_scatter")))
    more = sorted(
        ours - theirs for ours, theirs in zip(times["vig_pyg"], times["torch and torch_geometric"], strict=True)
    )
    results = {"imports": summarize(times, "vig_pyg"), "seconds more": round(more[len(more) // 2] / 1000, 2)}
    print(results)
    save(args.out / "imports-cpu.json", results)


if __name__ == "__main__":
    main()
