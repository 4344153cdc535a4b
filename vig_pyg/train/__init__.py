"""Training, and what it needs: data sets, recipes, models with their weights."""

from vig_pyg.data.decoded import LabeledBatch
from vig_pyg.data.digits import Split, load_digits
from vig_pyg.data.graph_sets import GraphData, load_graphs
from vig_pyg.data.labeled import ClassificationData, load_data
from vig_pyg.tasks import (
    Classification,
    ClassificationRecipe,
    Epoch,
    Recipe,
    Task,
    list_recipes,
    list_tasks,
    read_recipe,
    register_task,
)
from vig_pyg.tasks.accuracy import Evaluation, evaluate
from vig_pyg.tasks.classifier import build_model, load_model, save_weights
from vig_pyg.train.devices import accelerator_for
from vig_pyg.train.fit import fit
from vig_pyg.train.run import Interrupted

__all__ = [
    "Classification",
    "ClassificationData",
    "ClassificationRecipe",
    "Epoch",
    "Evaluation",
    "GraphData",
    "Interrupted",
    "LabeledBatch",
    "Recipe",
    "Split",
    "Task",
    "accelerator_for",
    "build_model",
    "evaluate",
    "fit",
    "list_recipes",
    "list_tasks",
    "load_data",
    "load_digits",
    "load_graphs",
    "load_model",
    "read_recipe",
    "register_task",
    "save_weights",
]
