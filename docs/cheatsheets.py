"""The tables of the cheatsheets: what is said of an operator or a graph was tried when the site was built."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import vig_pyg
from vig_pyg import conv as convs
from vig_pyg import graph as kinds
from vig_pyg.conv import get_conv
from vig_pyg.graph import Edges, NodeLayout, PointLayout, compressed, get_graph
from vig_pyg.models.names import is_ours

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
Row = dict[str, str]
YES, NO = "✓", ""


def results(name: str) -> list[dict[str, Any]]:
    """Return the rows of a study that is committed."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["rows"]


def markdown(rows: Iterable[Mapping[str, str]]) -> str:
    """Return rows of the same columns as a table."""
    rows = list(rows)
    lines = [list(rows[0]), ["---"] * len(rows[0]), *[list(row.values()) for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


# Operators ###############################################################################################


def operators() -> list[Row]:
    """Return a row for every operator that the library registers, our own first."""
    own = [name for name in vig_pyg.list_convs() if get_conv(name).__module__.startswith("vig_pyg.")]
    rows = [_operator(name) for name in own]
    return sorted(rows, key=lambda row: row["class"].startswith("PyG"))


def _operator(name: str) -> Row:
    torch.manual_seed(0)
    x, sources = torch.randn(40, 8), torch.randn(12, 8)
    edges = vig_pyg.knn_graph(x, 10, loop=True).as_tensor()
    pairs = torch.stack([torch.arange(80) % 12, torch.arange(80) % 40])
    factory = get_conv(name)
    conv = factory(8, 8).eval()

    def takes(layer: nn.Module, **given: Tensor) -> bool:
        return any(
            not torch.equal(layer(x, edges, **{key: v}), layer(x, edges, **{key: 2 * v})) for key, v in given.items()
        )

    return {
        "operator": f"`{name}`",
        "class": _linked(conv, convs),
        "bipartite": _mark(lambda: conv((sources, x), pairs).shape == (40, 8)),
        "edge weights": _mark(lambda: takes(conv, edge_weight=torch.rand(400))),
        "edge attributes": _mark(lambda: takes(factory(8, 8, edge_dim=3).eval(), edge_attr=torch.randn(400, 3))),
        "heads": _mark(lambda: factory(8, 8, heads=2)(x, edges).shape == (40, 8)),
        "lazy": _mark(lambda: factory(-1, 8)(x, edges).shape == (40, 8)),
        "no row per edge": _mark(lambda: largest(conv) < 1),
    }


def _linked(module: nn.Module, package: ModuleType) -> str:
    """Return the class of a module as a link into the reference, or by its name where it is not there."""
    name = type(module).__name__
    if type(module).__module__.startswith("torch_geometric."):
        return f"PyG's `{name}`"
    return f"{{class}}`~{package.__name__}.{name}`" if name in package.__all__ else f"`{name}`"


def _mark(tried: Callable[[], bool]) -> str:
    """Return a mark where what is tried works."""
    try:
        return YES if tried() else NO
    except (TypeError, ValueError, RuntimeError, AttributeError, NotImplementedError, AssertionError):
        return NO


class _Largest(TorchDispatchMode):
    """Remembers the largest floating-point tensor that any call returns."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for part in out if isinstance(out, tuple | list) else (out,):
            if isinstance(part, Tensor) and part.is_floating_point():
                self.numbers = max(self.numbers, part.numel())
        return out


@torch.no_grad()
def largest(conv: nn.Module, nodes: int = 64, k: int = 60, width: int = 8) -> float:
    """Return the size of the largest tensor that an operator makes, as a share of one row per edge."""
    x = torch.randn(nodes, width)
    edges = vig_pyg.knn_graph(x, k, loop=True)
    conv(x, edges)  # what is kept of an adjacency is made
    with _Largest() as seen:
        conv(x, edges)
    return seen.numbers / (nodes * k * width)


# Graphs ##################################################################################################


def graphs() -> list[Row]:
    """Return a row for every graph that the library registers."""
    own = [name for name in vig_pyg.list_graphs() if get_graph(name).__module__.startswith("vig_pyg.")]
    costs = {row["name"]: row for row in results("study-graph-costs-cpu")}
    return [_graph(name, costs[name]) for name in own]


def _graph(name: str, cost: dict[str, Any]) -> Row:
    torch.manual_seed(0)
    x, layout = torch.randn(196, 32), NodeLayout.uniform(1, 14, 14)
    points = PointLayout(pos=torch.rand(50, 2))
    graph = vig_pyg.build_graph(name, 9).eval()
    found = graph(x, layout)
    adjacency = found.adjacency if isinstance(found, Edges) else found
    degrees = compressed(adjacency)[0].diff()
    other = graph(torch.randn(196, 32), layout)
    same = int(degrees.min()) == int(degrees.max())

    return {
        "graph": f"`{name}`",
        "class": _linked(graph, kinds),
        "looks at features": _mark(lambda: not _same(found, other)),
        "irregular nodes": _mark(lambda: graph(torch.randn(50, 32), points) is not None),
        "edge weights": _mark(lambda: isinstance(found, Edges) and found.weight is not None),
        "learns": _mark(lambda: any(True for _ in graph.parameters())),
        "neighbors": str(int(degrees[0])) if same else f"{cost['224×224: edges per node']:.1f} or so",
        "196 nodes, ms": f"{cost['224×224: choosing (ms)']:.3g}",
        "4000 nodes, ms": f"{cost['800×1280: choosing (ms)']:.3g}",
    }


def _same(one: Any, other: Any) -> bool:
    parts = [(edges.adjacency, edges.weight) if isinstance(edges, Edges) else (edges, None) for edges in (one, other)]
    (a, weight), (b, other_weight) = parts
    same = a.shape == b.shape and bool((torch.as_tensor(a) == torch.as_tensor(b)).all())
    return same and (weight is None or torch.equal(weight, other_weight))


# Models ##################################################################################################


def models() -> list[Row]:
    """Return a row for every model of the committed study, ours and those beside them."""
    return [
        {
            "model": f"**`{row['name']}`**" if is_ours(row["name"]) else f"`{row['name']}`",
            "parameters, M": f"{row['parameters (M)']:.1f}",
            "GMAC": f"{row['GMACs']:.2f}",
            "ImageNet top-1 as published, %": _known(row.get("published ImageNet top-1 (%)")),
            "ms per image here": f"{row['ms per image']:.1f}",
            "MB per image here": f"{row['memory (MB)']:.0f}",
        }
        for row in results("study-models-cpu")
    ]


def _known(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.1f}"


def counted(name: str) -> float:
    """Return the trainable parameters of a model for 224×224 in millions, as it is built now."""
    size = {"img_size": 224} if name.startswith("wignet") else {}  # made for 256×256
    with torch.device("meta"):
        model = timm.create_model(name, **size)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad) / 1e6


TABLES: dict[str, Callable[[], list[Row]]] = {"operators": operators, "graphs": graphs, "models": models}


def write(folder: Path) -> None:
    """Write every table as Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in TABLES.items():
        (folder / f"{name}.md").write_text(markdown(rows()), encoding="utf-8")
