"""Classification of graphs, or of their nodes: superpixels, points, documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from accelerate.utils import send_to_device
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
from torch_geometric.data.storage import GlobalStorage

from vig_pyg.blocks import NodeStem, PatchStem
from vig_pyg.data.decoded import IGNORE_INDEX, LabeledBatch
from vig_pyg.data.graph_sets import GraphBatches, GraphData, is_graph_data, load_graphs, used_of
from vig_pyg.data.samplers import Draw
from vig_pyg.files import table_place, write_csv
from vig_pyg.models.vision_gnn import VisionGNN
from vig_pyg.tasks.accuracy import Evaluation, check_labels, evaluate, write_confusion
from vig_pyg.tasks.classifier import build_model
from vig_pyg.tasks.recipe import Recipe, key
from vig_pyg.tasks.registry import register_task
from vig_pyg.tasks.results import Device, OnBatch, Seen, Trained
from vig_pyg.tasks.task import Task


@dataclass
class GraphRecipe(Recipe):
    """How to train a classifier of graphs or nodes."""

    label_smoothing: float = key(0.1, 0, 1)


class NodeEvaluation(Evaluation):
    """Shares of nodes whose class is the best guess, and what is usual for nodes, mean F1 and mean IoU of classes."""

    @property
    def figures(self) -> dict[str, float]:
        """Accuracy, and over the classes that there are the means of F1 and of intersection over union."""
        right, either = self.confusion.diag().double(), self.confusion.sum(0) + self.confusion.sum(1)
        there = self.confusion.sum(1) > 0
        f1, iou = 2 * right / either.clamp(min=1), right / (either - right).clamp(min=1)
        return {"accuracy": self.top1, "macro_f1": f1[there].mean().item(), "mean_iou": iou[there].mean().item()}


@register_task("graphs")
class GraphClassification(Task):
    """Learns the classes of graphs, or of nodes where the data have such, by cross-entropy.

    Models of ours get ``stem="nodes"`` for the features and places that the data have.
    """

    recipe_class = GraphRecipe
    verb, noun = "Classifies", "graph"

    @classmethod
    def knows(cls, data: str) -> bool:
        """Return whether these are graphs by name."""
        return is_graph_data(data)

    @classmethod
    def default_recipe(cls, given: Mapping[str, Any]) -> str:
        """Return ``superpixels`` for superpixels of digits and what is like them, else ``points``."""
        return "points" if given.get("data", "").startswith(("shapes", "pyg/ModelNet")) else "superpixels"

    @classmethod
    def load_data(cls, recipe: GraphRecipe) -> GraphData:
        """Return what :func:`~vig_pyg.data.graph_sets.load_graphs` returns."""
        return load_graphs(recipe.data, recipe.data_root)

    @classmethod
    def build_model(cls, recipe: GraphRecipe, data: GraphData) -> nn.Module:
        """Return a model on nodes; where data are not known, the recipe says what they have."""
        recipe = _with_data(recipe, data) if hasattr(data, "pos_dim") else recipe
        return build_model(recipe, len(data.classes), data.channels)

    def save(self, model: nn.Module, *args: Any) -> None:
        """Write a model, and in its recipe what the data have."""
        Task.save(type(self)(self.data, _with_data(self.recipe, self.data)), model, *args)

    def example(self, model: nn.Module) -> Batch:
        """Return the first two graphs to train on."""
        graphs = self.train_set(model)
        return graphs.__getitems__([Draw(number % len(graphs), None) for number in range(2)]).images

    def train_set(self, model: nn.Module) -> GraphBatches:
        """Return graphs to train on; refuse, by a ValueError, a model that is built for other data."""
        self._check_model(model)
        return GraphBatches(self.data.train, self.data.per_node)

    def test_set(self, model: nn.Module) -> GraphBatches:
        """Return held-out graphs, for a model as in :meth:`train_set`."""
        self._check_model(model)
        return GraphBatches(self.data.test, self.data.per_node)

    def _check_model(self, model: nn.Module) -> None:
        """Refuse a model of this library that is built for other data."""
        if not isinstance(model, VisionGNN):
            return  # what does not fit of others shows when they are called
        data, stem, readout = self.data, model.stem, "nodes" if self.data.per_node else "mean"
        wanted = {"stem": "nodes", "in_chans": data.channels, "pos_dim": data.pos_dim}
        wanted |= {"num_classes": len(data.classes), "readout": readout}
        has: dict[str, object] = {"stem": "patch" if isinstance(stem, PatchStem) else "conv"}
        if isinstance(stem, NodeStem):
            has = {"in_chans": model.in_chans, "num_classes": model.num_classes}
            has |= {"pos_dim": stem.pos_dim} if stem.pos_dim else {}  # 0 leaves places alone
            has |= {"readout": model.readout} if "nodes" in (model.readout, readout) else {}
        if wrong := {key: value for key, value in has.items() if value != wanted[key]}:
            raise ValueError(f"the model has {_said(wrong)}: for {data.name} build it with {_said(wanted)}")

    def loss(self, model: Callable[..., Any], batch: LabeledBatch, device: torch.device) -> Tensor:
        """Return the cross-entropy of a batch; refuse, by a ValueError, labels that are no class and other logits."""
        check_labels(batch, len(self.data.classes))
        graphs, labels = send_to_device((batch.images, batch.labels), device, non_blocking=True)
        smoothing, logits = self.recipe.label_smoothing, model(graphs)
        if logits.shape != (wanted := (len(labels), len(self.data.classes))):
            each = "node" if self.data.per_node else "graph"
            raise ValueError(
                f"for {self.data.name} a model must return logits {list(wanted)}, a row per {each} and a column per "
                f"class, got {list(logits.shape)}"
            )
        return F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, label_smoothing=smoothing)

    def evaluate(
        self, model: nn.Module, batches: Iterable[LabeledBatch], device: Device, on_batch: OnBatch = lambda _: None
    ) -> Evaluation:
        """Count the held-out graphs or nodes whose class is the best guess, and among the best five."""
        found = evaluate(model, batches, len(self.data.classes), device, on_batch)
        return NodeEvaluation(*found) if self.data.per_node else found

    def report(self, found: Evaluation, out: Path) -> tuple[list[list[str]], str]:
        """Write accuracy per class and the confusion matrix as CSV."""
        counted = "nodes" if self.data.per_node else "graphs"
        write_confusion(found.confusion, found.per_class, self.data.classes, out, counted, "accuracy")
        rows = [["figure", "value"], *([name, f"{100 * value:.2f} %"] for name, value in found.figures.items())]
        return rows, f"{found.images:,} {counted}. Written to {out}: classes.csv, confusion.csv."

    @classmethod
    def place(cls, out: Path | None) -> Path | None:
        """Return a file for all predictions, which must end in ``.csv``, or None."""
        return table_place(out, ".csv")

    @classmethod
    def files(cls, places: Iterable[str | Path]) -> Iterable[Path]:
        """Return files of graphs, ``Data`` that :func:`torch.save` wrote."""
        return [Path(place) for place in places]

    @classmethod
    @torch.no_grad()
    def predict(
        cls, trained: Trained, files: Iterable[Path], out: Path | None, seen: Seen, *, batch: int, device: str
    ) -> str:
        """Write the best guess for every graph, or for every node of it, as CSV."""
        rows: list[Sequence[object]] = []
        read = ((path, used_of(read_graph(path))) for path in files)
        for _, alike in groupby(read, lambda pair: _form(pair[1])):
            while some := list(islice(alike, batch)):
                for (path, _), shares in zip(some, _shares(trained.model, some, device), strict=True):
                    best = shares.max(1)
                    names = [trained.classes[i] for i in best.indices.tolist()]
                    guesses = zip(names, best.values.tolist(), strict=True)
                    rows += [(path, number, *guess) for number, guess in enumerate(guesses)]
                    seen(path, names[0] if len(names) == 1 else f"{len(names)} nodes of {len(set(names))} classes")
        if out is None:
            return ""
        write_csv(out, [("file", "number", "class", "probability"), *rows])
        return str(out)


def _with_data(recipe: GraphRecipe, data: GraphData) -> GraphRecipe:
    """Return a recipe whose model is told what the data have, where it does not say it itself."""
    known = {"stem": "nodes", "pos_dim": data.pos_dim, **({"readout": "nodes"} if data.per_node else {})}
    return replace(recipe, model_options=known | recipe.model_options)


def _said(keywords: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in keywords.items())


def _form(graph: Data) -> tuple[object, ...]:
    """Return what graphs of one batch must have in common: which tensors, of which widths and types."""
    form: list[object] = []
    for name, value in sorted(graph.to_dict().items()):
        form += [name, type(value)]
        if isinstance(value, Tensor):
            joined = graph.__cat_dim__(name, value)
            form += [value.dtype, *(size for dim, size in enumerate(value.shape) if dim != joined % value.dim())]
    return tuple(form)


def _shares(model: nn.Module, read: Sequence[tuple[Path, Data]], device: str) -> Sequence[Tensor]:
    """Return for every graph the shares of the classes, a row, or one per node; name the file that does not fit."""
    try:
        batch = Batch.from_data_list([graph for _, graph in read])
        shares = model(batch.to(device)).softmax(1)
    except (ValueError, TypeError) as error:
        if len(read) > 1:  # one by one the file shows
            return [shares for each in read for shares in _shares(model, [each], device)]
        raise ValueError(f"{read[0][0]}: {error}") from error
    return shares.split(1 if len(shares) == len(read) else batch.ptr.diff().tolist())


OF_GRAPHS = [Data, DataEdgeAttr, DataTensorAttr, GlobalStorage]  # what PyG writes of one


def read_graph(path: Path) -> Data:
    """Return the graph in a file.

    Raises:
        ValueError: there is none, or there are several.
    """
    try:
        with torch.serialization.safe_globals(OF_GRAPHS):
            graph = torch.load(path, weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} holds no graph, Data that torch.save wrote: {str(error).splitlines()[0]}") from None
    if not isinstance(graph, Data):
        raise ValueError(f"{path} holds a {type(graph).__name__}, not a graph (Data)")
    if isinstance(graph.batch, Tensor) and graph.batch.any():
        raise ValueError(f"{path} holds a batch of graphs: save each in a file of its own")
    return graph
