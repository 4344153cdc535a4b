"""Training, evaluating, predicting and exporting, and the data sets and recipes for it."""

from vig_pyg.data.digits import Split, load_digits
from vig_pyg.data.labeled import Batch, Data, load_data
from vig_pyg.tasks.accuracy import Evaluation, evaluate
from vig_pyg.tasks.classification import Classification
from vig_pyg.tasks.recipe import Recipe, list_recipes, read_recipe
from vig_pyg.tasks.task import Epoch, Task
from vig_pyg.tasks.weights import build_model, load_model, save_weights
from vig_pyg.train.fit import Interrupted, accelerator_for, fit

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
