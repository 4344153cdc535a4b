"""What an operator pays for edges in any order, against edges sorted by target: ``python -m benchmarks.edge_order``."""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch_geometric import EdgeIndex

import vig_pyg
from benchmarks.measure import save, summarize
from benchmarks.speed import OPERATORS
from vig_pyg.study.cost import in_turn

NODES, NEIGHBORS, WIDTHS = 3136, 18, (64, 128)


def evaluation(conv: nn.Module, x: Tensor, edges: Callable[[], Tensor]) -> Callable[[], object]:
    """Return a call without gradient."""
    return torch.no_grad()(lambda: conv(x, edges()))


def training_step(conv: nn.Module, x: Tensor, edges: Callable[[], Tensor]) -> Callable[[], object]:
    """Return a forward and a backward pass, to weights and features."""
    leaf = x.clone().requires_grad_()
    return lambda: conv(leaf, edges()).square().mean().backward()


def compare(rounds: int) -> dict[str, object]:
    """Measure every operator on the same edges in all forms; a list is new where no call has seen it before."""
    x = torch.randn(NODES, WIDTHS[0])
    ordered = vig_pyg.knn_graph(x, NEIGHBORS)
    unsorted = ordered.as_tensor()[:, torch.randperm(ordered.size(1))].contiguous()
    unsorted_index = EdgeIndex(unsorted.clone(), sparse_size=(NODES, NODES))
    forms: dict[str, Callable[[], Tensor]] = {
        "sorted": lambda: ordered,
        "unsorted list": lambda: unsorted,
        "unsorted EdgeIndex": lambda: unsorted_index,
        "unsorted list, new": unsorted.clone,
    }
    results: dict[str, object] = {}
    for name in OPERATORS:
        conv = vig_pyg.conv.build_conv(name, *WIDTHS, act="gelu")
        for step in (evaluation, training_step):
            conv.train(step is training_step)
            title = f"{name}, {step.__name__.replace('_', ' ')}"
            calls = {form: step(conv, x, edges) for form, edges in forms.items()}
            results[title] = rows = summarize(in_turn(calls, rounds), "sorted")
            print(f"{title:28s}", *(f"{form} {row['ms']} ms" for form, row in rows.items()), sep="  ")
    return results


def main() -> None:
    """Compare at every number of threads and save what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    results = {}
    for threads in args.threads:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        results[f"threads {threads}"] = compare(args.rounds)
    save(args.out / "edge_order-cpu.json", results)


if __name__ == "__main__":
    main()
