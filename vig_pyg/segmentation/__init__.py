"""Semantic segmentation: a class for every pixel, by Semantic FPN on any backbone."""

from vig_pyg.segmentation.data import SegmentationData, load_segmentation_data
from vig_pyg.segmentation.evaluate import Evaluation, evaluate
from vig_pyg.segmentation.models import SemanticFPN, semantic_fpn
from vig_pyg.segmentation.predict import ClassMap, draw_map, draw_overlay, palette, segment
from vig_pyg.segmentation.task import Segmentation
from vig_pyg.segmentation.weights import Segmenter, build_segmenter, load_segmenter, save_segmenter

__all__ = [
    "ClassMap",
    "Evaluation",
    "Segmentation",
    "SegmentationData",
    "Segmenter",
    "SemanticFPN",
    "build_segmenter",
    "draw_map",
    "draw_overlay",
    "evaluate",
    "load_segmentation_data",
    "load_segmenter",
    "palette",
    "save_segmenter",
    "segment",
    "semantic_fpn",
]
