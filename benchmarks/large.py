"""The search among many nodes and points: ``python -m benchmarks.large [growth points backends] [--threads N]``.

Times are of the process, not of the clock, with one thread, so that what else the machine does matters least; the
clock's with several.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from scipy.spatial import cKDTree

import vig_pyg
from benchmarks.measure import save
from vig_pyg.kernels import nearest_blockwise, nearest_cluster, nearest_dense, nearest_kdtree
from vig_pyg.kernels.linear import linear
from vig_pyg.kernels.search import BLOCK_SCORES

NODES = (196, 784, 3136, 16_384, 65_536)
POINTS = (1000, 10_000, 100_000, 1_000_000)
FEW_POINTS = (256, 512, 1024, 4096, 16_384)
WIDTHS = (2, 3, 4, 5, 6, 8)
SECONDS = 3.0  # for a call that is made once more only

Row = dict[str, float]


def milliseconds(calls: Mapping[str, Callable[[], object]], rounds: int, threads: int) -> Row:
    """Return medians of several rounds, the calls in turn; brief ones are made several times in each,
    and those of seconds once more."""
    clock = time.process_time if threads == 1 else time.perf_counter

    def time_of(call: Callable[[], object], times: int) -> float:
        start = clock()
        for _ in range(times):
            call()
        return (clock() - start) / times * 1e3

    first = {name: time_of(call, 1) for name, call in calls.items()}
    if max(first.values()) > SECONDS * 1e3:
        rounds = 1
    times = {name: max(1, round(20 / max(ms, 0.1))) for name, ms in first.items()}
    measured = [{name: time_of(call, times[name]) for name, call in calls.items()} for _ in range(rounds)]
    return {name: round(statistics.median(row[name] for row in measured), 3) for name in calls}


def growth(rounds: int, threads: int) -> dict[str, Row]:
    """Measure knn_graph, 64 wide, against its limit, the products alone."""
    rows = {}
    for nodes in NODES:
        x = torch.randn(nodes, 64)
        keys = torch.randn(nodes, 64)
        block = max(1, min(nodes, 4096, (BLOCK_SCORES // 2) // nodes))

        def products(x: torch.Tensor = x, keys: torch.Tensor = keys, block: int = block) -> None:
            for some in x.split(block):
                linear(some, keys)

        calls = {"knn_graph": lambda x=x: vig_pyg.knn_graph(x, 9), "products alone": products}
        rows[f"{nodes} nodes"] = row = milliseconds(calls, rounds, threads)
        row["of the limit"] = round(row["knn_graph"] / row["products alone"], 2)
        print(nodes, row, flush=True)
    return rows


def points(rounds: int, threads: int) -> dict[str, Row]:
    """Measure knn_graph of points, k 9 and the node itself, with every tree against a bare cKDTree, built and asked."""
    rows = {}
    for width in (2, 3):
        for count in POINTS:
            x = torch.rand(count, width)
            calls: dict[str, Callable[[], object]] = {
                "cKDTree": lambda x=x: cKDTree(x.numpy()).query(x.numpy(), 9, workers=threads),
                **{
                    tree: lambda x=x, tree=tree: vig_pyg.knn_graph(x, 9, loop=True, backend=tree, num_workers=threads)
                    for tree in ("kdtree", "torch_cluster")
                },
            }
            rows[f"{count} points, {width} wide"] = row = milliseconds(calls, rounds, threads)
            row |= {f"{tree} / cKDTree": round(row[tree] / row["cKDTree"], 2) for tree in ("kdtree", "torch_cluster")}
            print(count, width, row, flush=True)
    return rows


def backends(rounds: int, threads: int) -> dict[str, Row]:
    """Measure every backend on normal points of several widths: what ``"auto"`` chooses by."""
    rows = {}
    for width in WIDTHS:
        for count in FEW_POINTS:
            x = torch.randn(1, count, width)
            ones, norms = x.new_ones(1, count, 1), x.square().sum(2, keepdim=True) / 2
            queries, keys = torch.cat([x, ones], 2), torch.cat([x, -norms], 2)
            calls: dict[str, Callable[[], object]] = {
                "kdtree": lambda x=x: nearest_kdtree(x, x, 9),
                "torch_cluster": lambda x=x: nearest_cluster(x, x, 9),
                "blockwise": lambda q=queries, k=keys: nearest_blockwise(q, k, 9),
            }
            if count <= 4096:
                calls["dense"] = lambda q=queries, k=keys: nearest_dense(q, k, 9)
            rows[f"{count} points, {width} wide"] = row = milliseconds(calls, rounds, threads)
            row["auto"] = vig_pyg.graph.choose_backend(count, count, width)  # type: ignore[assignment]
            print(count, width, row, flush=True)
    return rows


SECTIONS = {f.__name__: f for f in (growth, points, backends)}


def main() -> None:
    """Run the chosen sections and save what they measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", default=list(SECTIONS), help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/large-cpu.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results: dict[str, object] = {"threads": args.threads}
    with torch.no_grad():
        for section in args.sections:
            results[section] = SECTIONS[section](args.rounds, args.threads)
    save(args.out, results)


if __name__ == "__main__":
    main()
