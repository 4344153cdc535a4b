"""What can be learned, by name: classification, detection, segmentation, and tasks of your own."""

from vig_pyg.tasks.classification import Classification, ClassificationRecipe, ImageRecipe
from vig_pyg.tasks.classifier import build_model
from vig_pyg.tasks.detection import Detection, DetectionRecipe
from vig_pyg.tasks.graphs import GraphClassification, GraphRecipe
from vig_pyg.tasks.multilabel import Multilabel
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.recipes import list_recipes, read_recipe
from vig_pyg.tasks.registry import get_task, list_tasks, register_task
from vig_pyg.tasks.results import Epoch, Trained
from vig_pyg.tasks.segmentation import Segmentation, SegmentationRecipe
from vig_pyg.tasks.task import Task

__all__ = [
    "Classification",
    "ClassificationRecipe",
    "Detection",
    "DetectionRecipe",
    "Epoch",
    "GraphClassification",
    "GraphRecipe",
    "ImageRecipe",
    "Multilabel",
    "Recipe",
    "Segmentation",
    "SegmentationRecipe",
    "Task",
    "Trained",
    "build_model",
    "get_task",
    "list_recipes",
    "list_tasks",
    "read_recipe",
    "register_task",
]
