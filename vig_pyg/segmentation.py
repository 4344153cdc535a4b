"""Semantic segmentation: a class for every pixel, by Semantic FPN on any backbone."""

from vig_pyg.data.masks import SegmentationData, load_segmentation_data
from vig_pyg.models.semantic_fpn import SemanticFPN, semantic_fpn
from vig_pyg.tasks.iou import Evaluation, evaluate
from vig_pyg.tasks.segment import ClassMap, draw_map, draw_overlay, palette, segment
from vig_pyg.tasks.segmentation import (
    Segmentation,
    SegmentationRecipe,
    Segmenter,
    build_segmenter,
    load_segmenter,
    save_segmenter,
)

__all__ = [
    "ClassMap",
    "Evaluation",
    "Segmentation",
    "SegmentationData",
    "SegmentationRecipe",
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
