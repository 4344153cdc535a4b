"""What choosing neighbors costs and what passing messages to them does: in models, and in one block of large images."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torch_geometric.typing import Adj

from vig_pyg.blocks import Grapher
from vig_pyg.graph.edges import edge_list
from vig_pyg.graph.points import Layout
from vig_pyg.graph.protocol import Edges
from vig_pyg.graph.registry import takes
from vig_pyg.machine import source_hash
from vig_pyg.study.cost import Inputs, count_of, device_of, measured_once, peak_of, without_computing

ROUNDS = 7
SIZES = ((224, 224), (800, 1280))  # of the images whose first block is measured: 196 and 4000 nodes
MODEL, NEIGHBORS = "vig_tiny", 9  # whose block, and how many where the graph asks


class GraphCost(NamedTuple):
    """Edges per node, then multiply-accumulates and milliseconds per image, of all graphs and all operators."""

    edges: float
    choosing_macs: float
    passing_macs: float
    choosing_ms: float
    passing_ms: float


class BlockCost(NamedTuple):
    """What one block takes: edges per node, milliseconds to choose and to pass, the most memory (MiB) of both."""

    nodes: int
    edges: float
    choosing_ms: float
    passing_ms: float
    megabytes: float


def count_edges(edges: Adj | Edges) -> int:
    """Return the number of edges; of a hypergraph also those from its nodes to its hyperedges."""
    links = edges if isinstance(edges, Edges) else Edges(edges)
    into = 0 if links.members is None else edge_list(links.members).size(1)
    return edge_list(links.adjacency).size(1) + into


def edges_per_node(model: nn.Module, *inputs: Any) -> float:
    """Return how many edges a node has, the mean over all blocks of a model, or of a block, that is called so."""
    nodes = edges = 0

    def count(_: nn.Module, __: tuple, output: tuple[Tensor, Adj | Edges]) -> None:
        nonlocal nodes, edges
        nodes, edges = nodes + len(output[0]), edges + count_edges(output[1])

    with ExitStack() as after, torch.no_grad():
        for grapher in _graphers(model):
            after.enter_context(grapher.register_forward_hook(count))
        model.eval()(*inputs)
    return edges / nodes


def count_part_macs(model: nn.Module, images: Inputs) -> tuple[float, float]:
    """Return the multiply-accumulates per image of all graphs, and of all operators; only products are counted."""
    of_parts = {name: part for name, module in model.named_modules() for part in [_parts(model).get(module)] if part}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for each in [images] if isinstance(images, Tensor) else images.to_data_list():  # as in count_macs
            model.eval()(each)
    spent = {"graph": 0, "conv": 0}
    for name, operations in counter.get_flop_counts().items():
        if part := of_parts.get(name.partition(".")[2]):
            spent[part] += sum(operations.values())
    return spent["graph"] / 2 / count_of(images), spent["conv"] / 2 / count_of(images)


@torch.no_grad()
def part_milliseconds(
    calls: Mapping[str, tuple[nn.Module, tuple]], device: torch.device, rounds: int = ROUNDS
) -> dict[str, tuple[float, float]]:
    """Return the median milliseconds that the graphs and the operators in modules take, all modules called in turn.

    Args:
        calls: Modules in evaluation mode, and what each is called with.
        device: Where they are.
        rounds: How often, after one round for warming up.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for round_ in range(-1, rounds):
        for name, (module, inputs) in calls.items():
            with _watched(module, device) as spent:
                module(*inputs)
            if round_ >= 0:
                times[name].append((spent["graph"], spent["conv"]))
    medians = {
        name: [1e3 * statistics.median(part) for part in zip(*rows, strict=True)] for name, rows in times.items()
    }
    return {name: (choosing, passing) for name, (choosing, passing) in medians.items()}


def measure_graph_costs(
    folder: Path, models: Mapping[str, Callable[[], nn.Module]], images: Inputs
) -> dict[str, GraphCost]:
    """Return what graphs and operators cost in models, all measured in turn, or read as of ``measure_costs``."""

    def measure() -> dict[str, Any]:
        built = {name: build().to(device_of(images)).eval() for name, build in models.items()}
        times = part_milliseconds({name: (model, (images,)) for name, model in built.items()}, device_of(images))
        counted = images[:1] if isinstance(images, Tensor) else images
        costs = {}
        for name, model in built.items():
            macs = without_computing(count_part_macs, models[name], counted)
            spent = [part / count_of(images) for part in times[name]]
            costs[name] = GraphCost(edges_per_node(model, images), *macs, *spent)._asdict()
        return costs

    found = measured_once(folder, {"graphs of": sorted(models)}, images, measure)
    return {name: GraphCost(**cost) for name, cost in found.items()}


def measure_blocks(
    folder: Path, graphs: Mapping[str, tuple[str, Mapping[str, Any]]], conv: str, size: tuple[int, int], device: str
) -> dict[str, BlockCost | str]:
    """Return what the first block of vig_tiny costs on one photograph, or why it cannot be, in a sentence.

    Args:
        folder: Where this is kept, as by ``measure_costs``.
        graphs: A graph and its options by what to call it.
        conv: The operator.
        size: Height and width of the photograph in pixels.
        device: Where to measure.
    """
    image = photograph(size).to(device)

    def measure() -> dict[str, Any]:
        calls: dict[str, tuple[nn.Module, tuple]] = {}
        found: dict[str, Any] = {}
        nodes: tuple[Tensor, Layout] | None = None
        for name, (graph, options) in graphs.items():
            try:
                model = _one_block(graph, conv, options).to(device)
                nodes = nodes or _before_the_block(model, image)
                grapher: nn.Module = next(_graphers(model))
                found[name] = {"edges": edges_per_node(grapher, *nodes)}
                calls[name] = (grapher, nodes)
            except (RuntimeError, TypeError, ValueError, MemoryError) as error:
                found[name] = str(error).splitlines()[0] or type(error).__name__
        times = part_milliseconds(calls, image.device, ROUNDS if size == SIZES[0] else 3)
        for name, (grapher, inputs) in calls.items():
            peak = peak_of(partial(grapher, *inputs), image.device)
            spent = {"choosing_ms": times[name][0], "passing_ms": times[name][1]}
            found[name] |= {"nodes": len(inputs[0]), **spent, "megabytes": peak}
        return found

    what = {name: [graph, sorted(options.items())] for name, (graph, options) in graphs.items()}
    decides = {"block": MODEL, "graphs": what, "conv": conv, "code": source_hash()}
    found = measured_once(folder, decides, image, measure)
    return {name: cost if isinstance(cost, str) else BlockCost(**cost) for name, cost in found.items()}


def photograph(size: tuple[int, int]) -> Tensor:
    """Return scikit-learn's photograph in a size, as ViG wants it, ``[1, 3, height, width]``."""
    from sklearn.datasets import load_sample_image

    image = torch.from_numpy(load_sample_image("china.jpg").astype(np.float32)).permute(2, 0, 1) / 127.5 - 1
    return F.interpolate(image[None], size=size, mode="bilinear", antialias=True)


def _one_block(graph: str, conv: str, options: Mapping[str, Any]) -> nn.Module:
    """Return ViG-Ti with its first block alone, untrained, always the same."""
    torch.manual_seed(0)
    given: dict[str, Any] = {"k": NEIGHBORS, **options} if takes(graph, "k") else dict(options)
    return timm.create_model(MODEL, depth=1, num_classes=0, conv=conv, graph=graph, **given).eval()


@torch.no_grad()
def _before_the_block(model: nn.Module, image: Tensor) -> tuple[Tensor, Layout]:
    """Return the nodes of an image, and their layout, as the first block takes them."""
    taken: list[tuple] = []
    with next(_graphers(model)).register_forward_pre_hook(lambda _, inputs: taken.append(inputs)):
        model(image)
    return taken[0][:2]


def _graphers(model: nn.Module) -> Iterator[Grapher]:
    return (module for module in model.modules() if isinstance(module, Grapher))


def _parts(model: nn.Module) -> dict[nn.Module, str]:
    """Return all graphs and operators of a model, each once, and which of these they are."""
    return {module: part for grapher in _graphers(model) for part, module in _both(grapher)}


def _both(grapher: Grapher) -> Sequence[tuple[str, nn.Module]]:
    return ("graph", grapher.graph), ("conv", grapher.conv)


@contextmanager
def _watched(model: nn.Module, device: torch.device) -> Iterator[dict[str, float]]:
    """Add up the seconds that a model's graphs and operators take while it is called."""
    spent, started = {"graph": 0.0, "conv": 0.0}, 0.0

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    def start(*_: object) -> None:
        nonlocal started
        started = now()

    def stop(part: str, *_: object) -> None:
        spent[part] += now() - started

    with ExitStack() as after:
        for module, part in _parts(model).items():
            after.enter_context(module.register_forward_pre_hook(start))
            after.enter_context(module.register_forward_hook(partial(stop, part)))
        yield spent
