"""Data sets of graphs by name: superpixels of digits, point clouds, and PyG's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch_geometric import datasets
from torch_geometric.data import Batch, Data
from torch_geometric.transforms import Compose, NormalizeScale, SamplePoints

from vig_pyg.checks import check_kind
from vig_pyg.data.decoded import IGNORE_INDEX, LabeledBatch
from vig_pyg.data.digits import load_digits
from vig_pyg.data.graphs import graphs_of
from vig_pyg.data.samplers import Draw
from vig_pyg.data.shapes import PARTS, SHAPES, make_shapes
from vig_pyg.graph.superpixels import SuperpixelGraph
from vig_pyg.registry import nearest

TRAIN_SHAPES, TEST_SHAPES = 600, 180
DIGIT_SEGMENTS = 75
VOC_CLASSES, COCO_CLASSES = 21, 81


class GraphData(NamedTuple):
    """A data set of graphs: those to train on and held out, and the names of the classes of graphs or of nodes."""

    name: str
    train: Sequence[Data]
    test: Sequence[Data]
    classes: list[str]
    channels: int
    """Features of a node."""
    pos_dim: int
    """Coordinates of a node's place; 0 where it has none."""
    per_node: bool = False
    """Whether nodes have classes, not graphs; −1 is none."""


def is_graph_data(name: str) -> bool:
    """Return whether :func:`load_graphs` knows a name."""
    return name in BUILT_IN or name.startswith("pyg/")


def load_graphs(name: str, root: str | Path = "data") -> GraphData:
    """Return a data set of graphs.

    Args:
        name: ``digits-superpixels``, ``shapes`` (point clouds), ``shapes-parts`` (the part of every point), or a data
            set of PyG's: ``pyg/MNISTSuperpixels``, ``pyg/GNNBenchmarkDataset/MNIST`` or ``/CIFAR10``,
            ``pyg/LRGBDataset/PascalVOC-SP`` or ``/COCO-SP``, ``pyg/ModelNet/10`` or ``/40``, ``pyg/Planetoid/Cora``,
            ``/CiteSeer`` or ``/PubMed``.
        root: The folder that PyG's are in, or are downloaded to.

    What is built in is made once in a process: superpixels take seconds. Everyone gets copies of their own.

    Raises:
        TypeError: the name is not a word, or the root no folder's.
        ValueError: no data set has that name, or PyG cannot load it.
    """
    check_kind("a name such as 'digits-superpixels'", str, name=name)
    check_kind("a folder", str | Path, root=root)
    if name in BUILT_IN:
        made = _made(name)
        train, test = ([graph.clone() for graph in part] for part in (made.train, made.test))
        return made._replace(train=train, test=test, classes=list(made.classes))
    family, _, subset = name.removeprefix("pyg/").partition("/")
    if not name.startswith("pyg/") or family not in PYG:
        known = [*BUILT_IN, *(f"pyg/{each}" for each in PYG)]
        raise ValueError(f"no graphs are called {name!r}{nearest(name, known)}; known are {', '.join(known)}")
    try:
        return PYG[family](name, Path(root) / family, subset)
    except Exception as error:  # every data set raises its own
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"PyG cannot load {name!r} from {str(root)!r}: {reason}") from error


@cache
def _made(name: str) -> GraphData:
    return BUILT_IN[name](name)


def _digits(name: str) -> GraphData:
    split, transform = load_digits(32), SuperpixelGraph(DIGIT_SEGMENTS, compactness=1)
    parts = (split.train_images, split.train_labels), (split.test_images, split.test_labels)
    train, test = (
        graphs_of([((image + 1) / 2, int(label)) for image, label in zip(*part, strict=True)], transform, log=False)
        for part in parts
    )
    return GraphData(name, train, test, [str(digit) for digit in range(10)], train[0].num_node_features, 2)


def _shapes(name: str) -> GraphData:
    train, test = make_shapes(TRAIN_SHAPES, seed=0), make_shapes(TEST_SHAPES, seed=1)
    return GraphData(name, train, test, list(SHAPES), 3, 3)


def _parts(name: str) -> GraphData:
    data = _shapes(name)
    for cloud in (*data.train, *data.test):
        cloud.y = cloud.part
    return data._replace(classes=PARTS, per_node=True)


def _of_pyg(name: str, train: Any, test: Any, classes: Sequence[str], per_node: bool = False) -> GraphData:
    first = train[0]
    width = first.num_node_features or first.pos.size(1)
    pos_dim = 0 if first.pos is None else first.pos.size(1)
    return GraphData(name, train, test, list(classes), width, pos_dim, per_node)


def _mnist(name: str, root: Path, subset: str) -> GraphData:
    train, test = (datasets.MNISTSuperpixels(str(root), train=part) for part in (True, False))
    return _of_pyg(name, train, test, [str(digit) for digit in range(10)])


def _benchmark(name: str, root: Path, subset: str) -> GraphData:
    train, test = (datasets.GNNBenchmarkDataset(str(root), subset, split=part) for part in ("train", "test"))
    return _of_pyg(name, train, test, [str(label) for label in range(train.num_classes)])


def _lrgb(name: str, root: Path, subset: str) -> GraphData:
    train, test = (datasets.LRGBDataset(str(root), subset, split=part) for part in ("train", "val"))
    classes = range(VOC_CLASSES if subset.lower().startswith("pascal") else COCO_CLASSES)
    return _of_pyg(name, train, test, [str(label) for label in classes], per_node=True)


def _modelnet(name: str, root: Path, subset: str) -> GraphData:
    sampled = Compose([SamplePoints(1024), NormalizeScale()])
    train, test = (
        datasets.ModelNet(str(root / subset), subset, train=part, pre_transform=sampled) for part in (True, False)
    )
    return _of_pyg(name, train, test, [str(label) for label in range(train.num_classes)])


def _planetoid(name: str, root: Path, subset: str) -> GraphData:
    graph = datasets.Planetoid(str(root), subset)[0]
    train, test = (
        [Data(x=graph.x, edge_index=graph.edge_index, y=graph.y.masked_fill(~mask, IGNORE_INDEX))]
        for mask in (graph.train_mask, graph.test_mask)
    )
    return _of_pyg(name, train, test, [str(label) for label in range(int(graph.y.max()) + 1)], per_node=True)


BUILT_IN: dict[str, Callable[[str], GraphData]] = {
    "digits-superpixels": _digits,
    "shapes": _shapes,
    "shapes-parts": _parts,
}
PYG: dict[str, Callable[[str, Path, str], GraphData]] = {
    "MNISTSuperpixels": _mnist,
    "GNNBenchmarkDataset": _benchmark,
    "LRGBDataset": _lrgb,
    "ModelNet": _modelnet,
    "Planetoid": _planetoid,
}


class GraphBatches(Dataset):
    """Gives batches of graphs for the draws of a sampler, with their labels; places without a graph count for nothing.

    Args:
        graphs: ``Data`` with ``y``.
        per_node: Whether nodes have labels.
    """

    def __init__(self, graphs: Sequence[Data], per_node: bool = False) -> None:
        self.graphs, self.per_node = graphs, per_node

    def __len__(self) -> int:
        return len(self.graphs)

    def __getitems__(self, draws: Sequence[Draw]) -> LabeledBatch:
        """Return what was drawn, as one batch: a PyG ``Batch`` where others have images."""
        drawn = [self.graphs[draw.number] for draw in draws]
        counts = torch.tensor([draw.number >= 0 for draw in draws])
        batch: Any = Batch.from_data_list([used_of(graph) for graph in drawn])
        labels: Tensor = torch.cat([graph.y.view(-1) for graph in drawn])
        counted = counts[batch.batch] if self.per_node else counts
        return LabeledBatch(batch, labels.masked_fill(~counted, IGNORE_INDEX), [])


def used_of(graph: Data) -> Data:
    """Return what a model takes of a graph."""
    names = ("x", "pos", "edge_index", "edge_attr", "edge_weight")
    return Data(**{name: graph[name] for name in names if name in graph and graph[name] is not None})
