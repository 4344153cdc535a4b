"""Training, evaluating, predicting and exporting, and the data sets and recipes for it."""

from vig_pyg.train.classification import Classification
from vig_pyg.train.data import Batch, Data, load_data
from vig_pyg.train.digits import Split, load_digits
from vig_pyg.train.evaluate import Evaluation, evaluate
from vig_pyg.train.fit import Interrupted, accelerator_for, fit
from vig_pyg.train.recipe import Recipe, list_recipes, read_recipe
from vig_pyg.train.run import Epoch
from vig_pyg.train.task import Task
from vig_pyg.train.weights import build_model, load_model, save_weights

__all__ = [
    "Batch",
    "Classification",
    "Data",
    "Epoch",
    "Evaluation",
    "Interrupted",
    "Recipe",
    "Split",
    "Task",
    "accelerator_for",
    "build_model",
    "evaluate",
    "fit",
    "list_recipes",
    "load_data",
    "load_digits",
    "load_model",
    "read_recipe",
    "save_weights",
]
