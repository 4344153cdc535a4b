"""Classification of graphs, or of their nodes: superpixels, points, documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from accelerate.utils import send_to_device
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
from torch_geometric.data.storage import GlobalStorage

from vig_pyg.data.decoded import IGNORE_INDEX, LabeledBatch
from vig_pyg.data.graph_sets import GraphBatches, GraphData, is_graph_data, load_graphs
from vig_pyg.data.samplers import Draw
from vig_pyg.files import table_place, write_csv
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
    verb = "Classifies"

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
        graphs = GraphBatches(self.data.train, self.data.per_node)
        return graphs.__getitems__([Draw(number % len(graphs), None) for number in range(2)]).images

    def train_set(self, model: nn.Module) -> GraphBatches:
        """Return graphs to train on."""
        return GraphBatches(self.data.train, self.data.per_node)

    def test_set(self, model: nn.Module) -> GraphBatches:
        """Return held-out graphs."""
        return GraphBatches(self.data.test, self.data.per_node)

    def loss(self, model: Callable[..., Any], batch: LabeledBatch, device: torch.device) -> Tensor:
        """Return the cross-entropy of a batch; refuse, by a ValueError, labels that are no class."""
        check_labels(batch, len(self.data.classes))
        graphs, labels = send_to_device((batch.images, batch.labels), device, non_blocking=True)
        smoothing = self.recipe.label_smoothing
        return F.cross_entropy(model(graphs), labels, ignore_index=IGNORE_INDEX, label_smoothing=smoothing)

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
        for path in files:
            graph = read_graph(path)
            shares = trained.model(graph.to(device)).softmax(1)
            best = shares.max(1)
            names = [trained.classes[i] for i in best.indices.tolist()]
            rows += [
                (path, number, *guess) for number, guess in enumerate(zip(names, best.values.tolist(), strict=True))
            ]
            seen(path, names[0] if len(names) == 1 else f"{len(names)} nodes of {len(set(names))} classes")
        if out is None:
            return ""
        write_csv(out, [("file", "number", "class", "probability"), *rows])
        return str(out)


def _with_data(recipe: GraphRecipe, data: GraphData) -> GraphRecipe:
    """Return a recipe whose model is told what the data have, where it does not say it itself."""
    known = {"stem": "nodes", "pos_dim": data.pos_dim, **({"readout": "nodes"} if data.per_node else {})}
    return replace(recipe, model_options=known | recipe.model_options)


OF_GRAPHS = [Data, DataEdgeAttr, DataTensorAttr, GlobalStorage]  # what PyG writes of one


def read_graph(path: Path) -> Data:
    """Return the graph in a file.

    Raises:
        ValueError: there is none.
    """
    try:
        with torch.serialization.safe_globals(OF_GRAPHS):
            graph = torch.load(path, weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} holds no graph, Data that torch.save wrote: {str(error).splitlines()[0]}") from None
    if not isinstance(graph, Data):
        raise ValueError(f"{path} holds a {type(graph).__name__}, not a graph (Data)")
    return graph
