"""Semantic segmentation: a class for every pixel, by Semantic FPN on any backbone."""

from vig_pyg.segmentation.models import SemanticFPN, semantic_fpn
__all__ = ["SemanticFPN", "semantic_fpn"]
