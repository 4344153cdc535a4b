"""Large images in this checkout and in another: ``python -m benchmarks.large_versions PATH`` of the other's folder.

Each version runs in a process of its own with one thread; they take turns, and times are of the process. Memory is
that of fresh processes, above an idle one.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import timm
import torch

import vig_pyg
from benchmarks.measure import peak_memory, save
from vig_pyg.detection import retinanet

HERE = Path(__file__).parents[1]
SETUP = "import torch, timm, vig_pyg\nmodel = timm.create_model('pvig_small', features_only=True).eval()\n"
FEATURES = "with torch.no_grad(): model(torch.randn(1, 3, 800, 1280))"


def features() -> Callable[[], object]:
    """Return the features of pvig_small, folded."""
    model = vig_pyg.fuse_for_inference(timm.create_model("pvig_small", features_only=True).eval())
    return partial(model, torch.randn(1, 3, 800, 1280))


def detection(backbone: str) -> Callable[[], object]:
    """Return a detector."""
    return partial(retinanet(backbone, 80).eval(), [torch.rand(3, 800, 1280)])


def graph(nodes: int) -> Callable[[], object]:
    """Return the graph of nodes, 64 wide, with 9 neighbors."""
    return partial(vig_pyg.knn_graph, torch.randn(nodes, 64), 9)


TASKS = {
    "pvig_small features, 800×1280": features,
    "RetinaNet on pvig_small, 800×1280": partial(detection, "pvig_small"),
    "RetinaNet on resnet50, 800×1280": partial(detection, "resnet50"),
    "knn_graph, 3136 nodes, 64 wide": partial(graph, 3136),
    "knn_graph, 16384 nodes, 64 wide": partial(graph, 16_384),
}


def answer() -> None:
    """Read tasks, one a line, and print the seconds that each took."""
    torch.set_num_threads(1)
    made: dict[str, Callable[[], object]] = {}
    with torch.no_grad():
        for line in sys.stdin:
            name = line.strip()
            if name not in made:
                made[name] = TASKS[name]()
            start = time.process_time()
            made[name]()
            print(time.process_time() - start, flush=True)


def ask(process: "subprocess.Popen[str]", name: str) -> float:
    """Return the seconds that a process took for a task."""
    assert process.stdin is not None and process.stdout is not None
    print(name, file=process.stdin, flush=True)
    return float(process.stdout.readline())


def main() -> None:
    """Measure both versions and save what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, nargs="?", help="folder of a checkout of another version")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/large_versions-cpu.json"))
    args = parser.parse_args()
    if args.other is None:
        answer()
        return
    folders = {"other": args.other.resolve(), "this": HERE}
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = {
        name: subprocess.Popen([sys.executable, __file__], env=os.environ | {"PYTHONPATH": str(folder)}, **pipe)  # type: ignore[call-overload]
        for name, folder in folders.items()
    }
    results: dict[str, object] = {"load": os.getloadavg()}
    for task in TASKS:
        rounds = [{name: ask(process, task) for name, process in processes.items()} for _ in range(args.rounds + 1)][1:]
        seconds = {name: round(statistics.median(each[name] for each in rounds), 4) for name in processes}
        fast = statistics.median(each["other"] / each["this"] for each in rounds)
        results[task] = {**seconds, "times as fast": round(fast, 2)}
        print(task, results[task], flush=True)
    for process in processes.values():
        process.communicate()
    freed = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    results["pvig_small features, 800×1280, MB"] = peaks = {
        name: round(peak_memory(SETUP + FEATURES, where) - peak_memory(SETUP, where))
        for name, where in ((name, {"PYTHONPATH": str(folder), **freed}) for name, folder in folders.items())
    }
    print(peaks)
    save(args.out, results)


if __name__ == "__main__":
    main()
