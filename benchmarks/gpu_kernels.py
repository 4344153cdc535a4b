"""Kernels on a card: each against its definition in float64, and against the time that its bytes take."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.measure import summarize
from vig_pyg.graph.nearest import choose_backend
from vig_pyg.kernels import nearest_blockwise, nearest_dense, nearest_fused, neighbor_max, neighbor_sum
from vig_pyg.kernels import neighbor_weighted_max as weighted_max
from vig_pyg.kernels import shifted_distances as distances
from vig_pyg.kernels.backends import Reduction, choose_reduction
from vig_pyg.study.cost import in_turn

Call = Callable[[], object]
Rows = dict[str, dict[str, dict[str, float]]]
AT_A_TIME = 20  # calls between two looks at the clock: one is over before the CPU has seen it start
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


class Shape(NamedTuple):
    """Images whose nodes have neighbors among others."""

    images: int
    targets: int
    sources: int
    channels: int
    k: int


SHAPES = {
    "vig_tiny": Shape(128, 196, 196, 192, 18),
    "pvig_tiny, first stage": Shape(32, 3136, 196, 48, 9),
    "pvig_tiny, last stage": Shape(128, 49, 49, 384, 9),
}


class Wrong(Exception):
    """A kernel gives something else than its definition."""


def check(name: str, found: Tensor, expected: Tensor, dtype: torch.dtype) -> float:
    """Return the error relative to the largest value, and refuse one that rounding does not explain."""
    error = ((found.double() - expected).abs().max() / expected.abs().max()).item()
    if not error <= TOLERANCE[dtype]:
        raise Wrong(f"{name} in {dtype} is wrong by {error:.2g} of the largest value: look at the kernel first")
    return error


def repeated(call: Call, times: int) -> Call:
    """Return so many calls as one."""
    return lambda: [call() for _ in range(times)]


def bandwidth(device: str) -> float:
    """Return the bytes per millisecond that copying reads and writes."""
    one = torch.empty((1 << 28) if device != "cpu" else (1 << 22), device=device)
    other = torch.empty_like(one)
    times = in_turn({"copy": lambda: other.copy_(one)}, 5, device)["copy"]
    return 2 * one.nbytes / min(times)


def neighborhoods(shape: Shape, device: str) -> tuple[Tensor, Tensor]:
    """Return ``ptr`` and ``index`` of random different neighbors within the image."""
    nodes = shape.images * shape.targets
    within = torch.rand(nodes, shape.sources, device=device).topk(shape.k).indices
    first = torch.arange(shape.images, device=device).repeat_interleave(shape.targets) * shape.sources
    return torch.arange(nodes + 1, device=device) * shape.k, (within + first.unsqueeze(1)).flatten()


def reductions(shape: Shape, dtype: torch.dtype, device: str, backends: list[str]) -> Iterator[tuple[str, dict, int]]:
    """Check the reductions, forward and backward; yield name, calls by backend and the bytes that must be moved."""
    ptr, index = neighborhoods(shape, device)
    nodes = shape.images * shape.sources
    x = torch.rand(nodes, shape.channels, device=device).argsort(0)  # no two of a channel are equal, in float32
    x = ((x - nodes // 2) * 2.0**-12).to(dtype)
    cotangent = torch.randn(len(ptr) - 1, shape.channels, device=device).to(dtype)
    for name, reduce in (("max", neighbor_max), ("sum", neighbor_sum)):
        wide = x.double().requires_grad_()
        rows = wide[index].view(-1, shape.k, shape.channels)
        expected = rows.amax(1) if name == "max" else rows.sum(1)
        expected.backward(cotangent.double())
        forward: dict[str, Call] = {}
        backward: dict[str, Call] = {}
        for backend in backends:
            leaf = x.clone().requires_grad_()
            out = reduce(leaf, ptr, index, shape.k, backend=cast(Reduction, backend))
            grad = partial(torch.autograd.grad, out, leaf, cotangent, retain_graph=True)
            check(f"{name} by {backend}", out.detach(), expected.detach(), dtype)
            if name == "sum" or dtype == torch.float32:  # in bfloat16 neighbors may be equal: one of them takes it all
                assert wide.grad is not None
                check(f"{name}, backward, by {backend}", grad()[0], wide.grad, dtype)
            no_grad = torch.no_grad()(partial(reduce, x, ptr, index, shape.k, backend=cast(Reduction, backend)))
            forward[backend], backward[backend] = no_grad, grad
        if "triton" in backends:
            backward["triton, by source"] = deterministic(backward["triton"])
        yield name, forward, x.nbytes + cotangent.nbytes + index.nbytes + ptr.nbytes
        slots = cotangent.numel() if name == "max" else 0
        yield f"{name}, backward", backward, x.nbytes + cotangent.nbytes + index.nbytes + ptr.nbytes + slots


def deterministic(call: Call) -> Call:
    """Return the call while algorithms are to be deterministic."""

    def run() -> object:
        fills = torch.utils.deterministic.fill_uninitialized_memory
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # a pass that is not the kernel's
        try:
            return call()
        finally:
            torch.use_deterministic_algorithms(False)
            torch.utils.deterministic.fill_uninitialized_memory = fills

    return run


def others(shape: Shape, dtype: torch.dtype, device: str) -> Iterator[tuple[str, dict, int]]:
    """Check the kernels that are made of torch's own; yield them likewise."""
    _, index = neighborhoods(shape, device)
    index = index.view(-1, shape.k)
    x = torch.randn(shape.images * shape.sources, shape.channels, device=device).to(dtype)
    center = torch.randn(len(index), shape.channels, device=device).to(dtype)
    weight = torch.rand(index.shape, device=device).to(dtype)
    call = torch.no_grad()(partial(weighted_max, x, index, weight, center))
    expected = (weight.double().unsqueeze(2) * (x.double()[index] - center.double().unsqueeze(1))).amax(1)
    check("weighted max", call(), expected, dtype)
    yield "weighted max", {"native": call}, x.nbytes + 2 * center.nbytes + index.nbytes + weight.nbytes
    side = int(shape.targets**0.5)
    maps, steps = center.view(shape.images, side, side, -1), list(range(2, side, 2))
    shifted = torch.no_grad()(partial(distances, maps, steps, steps))
    moved = [maps.roll(step, axis) for axis in (1, 2) for step in steps]
    expected = torch.stack([(maps.double() - other.double()).abs().sum(3) for other in moved], 3)
    check("distances of shifts", shifted(), expected, dtype)
    yield "distances of shifts", {"native": shifted}, maps.nbytes + expected.numel() * maps.itemsize


def searches(shape: Shape, device: str) -> dict[str, Call]:
    """Check the searches, dilated by three as in the last blocks; return them, and the bare product."""
    generator = torch.Generator().manual_seed(0)
    sizes = [(shape.images, nodes, shape.channels) for nodes in (shape.targets, shape.sources)]
    queries, keys = (normalize(torch.randn(size, generator=generator), dim=2).to(device) for size in sizes)
    k = min(3 * shape.k, shape.sources)
    calls: dict[str, Call] = {"dense": partial(nearest_dense, queries, keys, k)}
    calls["blockwise"] = partial(nearest_blockwise, queries, keys, k)
    if device != "cpu":
        calls["fused"] = partial(nearest_fused, queries, keys, k)
    scores = queries.double() @ keys.double().mT
    best = scores.topk(k).values
    for name, call in calls.items():
        found = cast(Tensor, call())
        if found.sort(2).values.diff(dim=2).eq(0).any():
            raise Wrong(f"{name} search finds a key twice: look at the kernel first")
        check(f"{name} search", scores.gather(2, found), best, torch.float32)
    return {"bare product": lambda: queries @ keys.mT, **calls}


def measure(rounds: int, device: str, shapes: dict[str, Shape] = SHAPES) -> tuple[Rows, dict[str, dict[str, str]]]:
    """Return the rows of all kernels, and which backend is fastest beside the one that ``"auto"`` takes.

    Raises:
        Wrong: a kernel does not give what its definition says.
    """
    rate, rows, choices = bandwidth(device), Rows(), {}
    backends = ["native"] if device == "cpu" else ["native", "triton"]
    for where, shape in shapes.items():
        for dtype in TOLERANCE:
            for name, calls, moved in [*reductions(shape, dtype, device, backends), *others(shape, dtype, device)]:
                title = f"{name}, {where}, {str(dtype).removeprefix('torch.')}"
                rows[title] = timed(calls, rounds, device, moved / rate)
                if len(calls) > 1:
                    kind = "sum" if name.startswith("sum") else "extremum"
                    auto = choose_reduction(kind, shape.channels, shape.k, device)
                    choices[title] = {"fastest": fastest(rows[title]), "auto": auto}
        title = f"search, {where}"
        calls = searches(shape, device)
        rows[title] = timed(calls, rounds, device, None)
        auto = choose_backend(shape.targets, shape.sources, shape.channels, device)
        choices[title] = {"fastest": fastest(rows[title]), "auto": auto}
    return rows, choices


def timed(calls: dict[str, Call], rounds: int, device: str, limit: float | None) -> dict[str, dict[str, float]]:
    """Return milliseconds, and which share of them the limit is (that of a search: the bare product)."""
    times = in_turn({name: repeated(call, AT_A_TIME) for name, call in calls.items()}, rounds, device)
    rows = summarize({name: [ms / AT_A_TIME for ms in each] for name, each in times.items()}, next(iter(calls)))
    for row in rows.values():
        row["limit / ms"] = round((rows["bare product"]["ms"] if limit is None else limit) / max(row["ms"], 1e-6), 3)
    return rows


def fastest(rows: dict[str, dict[str, float]]) -> str:
    """Return the contender that took least."""
    return min((name for name in rows if name != "bare product"), key=lambda name: rows[name]["ms"])
