"""The models, registered with timm."""

from vig_pyg.models import wignet  # noqa: F401 - registers its models
from vig_pyg.models.checkpoint import checkpoint_filter_fn, load_checkpoint
from vig_pyg.models.fuse import fuse_for_inference
from vig_pyg.models.mobile_vig import MobileViG
from vig_pyg.models.pyramid_vig import PyramidViG
from vig_pyg.models.vig import ViG

__all__ = ["MobileViG", "PyramidViG", "ViG", "checkpoint_filter_fn", "fuse_for_inference", "load_checkpoint"]
