"""The backends of the neighbor reductions against each other: ``python -m benchmarks.reductions --help``."""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.measure import save, summarize
from vig_pyg.kernels import neighbor_max, neighbor_softmax, neighbor_sum
from vig_pyg.kernels.backends import Reduction
from vig_pyg.study.cost import in_turn

NODES = 3136
DEGREES = {"18 neighbors": (3136, 18, 18), "0 to 36 neighbors": (3136, 0, 36), "255 to 600 neighbors": (128, 255, 600)}
TYPES = {"float32": torch.float32, "float64": torch.float64}

Table = dict[str, dict[str, dict[str, float]]]


def neighborhoods(targets: int, fewest: int, most: int) -> tuple[Tensor, Tensor]:
    """Return ``ptr`` and ``index`` of lists of random lengths with random neighbors."""
    degrees = torch.randint(fewest, most + 1, (targets,))
    ptr = torch.nn.functional.pad(degrees.cumsum(0), (1, 0))
    return ptr, torch.randint(0, NODES, (int(ptr[-1]),))


def reductions(x: Tensor, ptr: Tensor, index: Tensor, backend: Reduction) -> dict[str, Callable[[], Tensor]]:
    """Return every kind of reduction of ``x [NODES, C]``; minima cost what maxima do, and means what sums do."""
    most, of_edges = int(ptr.diff().max()), x.detach()[index].requires_grad_(x.requires_grad)
    return {
        "max": lambda: neighbor_max(x, ptr, index, most, backend=backend),
        "sum": lambda: neighbor_sum(x, ptr, index, most, backend=backend),
        "softmax": lambda: neighbor_softmax(of_edges, ptr, most, backend=backend),
    }


def no_gradient(reduce: Callable[[], Tensor]) -> Callable[[], object]:
    """Return the call without gradient."""
    return torch.no_grad()(reduce)


def forward_and_backward(reduce: Callable[[], Tensor]) -> Callable[[], object]:
    """Return a forward and a backward pass."""
    cotangent = torch.randn_like(reduce())
    return lambda: reduce().backward(cotangent)


def compare(args: argparse.Namespace, dtype: torch.dtype, lists: tuple[int, int, int], width: int) -> Table:
    """Measure all reductions of features of a type and a width, with and without gradient."""
    ptr, index = (part.to(args.device) for part in neighborhoods(*lists))
    rows = {}
    for training in (False, True):
        x = torch.randn(NODES, width, dtype=dtype, device=args.device, requires_grad=training)
        calls = {backend: reductions(x, ptr, index, backend) for backend in args.backends}
        for kind in next(iter(calls.values())):
            step = forward_and_backward if training else no_gradient
            contenders = {backend: step(calls[backend][kind]) for backend in args.backends}
            name = f"{kind}, forward and backward" if training else f"{kind}, forward"
            rows[name] = summarize(in_turn(contenders, args.rounds, args.device), args.backends[0])
    return rows


def main() -> None:
    """Compare the backends at every number of threads, type, degree and width, and save what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", nargs="+", default=["native", "torch_scatter"])
    parser.add_argument("--widths", nargs="+", type=int, default=[1, 4, 16, 64, 256])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    torch.manual_seed(0)
    results = {}
    for threads in args.threads:
        torch.set_num_threads(threads)
        for degrees, lists in DEGREES.items():
            for name, dtype in TYPES.items():
                for width in args.widths:
                    title = f"threads {threads}, {degrees}, {name}, {width} wide"
                    results[title] = rows = compare(args, dtype, lists, width)
                    print(title)
                    for kind, row in rows.items():
                        print(f"  {kind:30s}", *(f"{backend} {row[backend]['ms']} ms" for backend in row), sep="  ")
    save(args.out / f"reductions-{args.device}.json", results)


if __name__ == "__main__":
    main()
