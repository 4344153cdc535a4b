"""Object detection and instance segmentation on graph backbones."""

from vig_pyg.detection.models import Detector, mask_rcnn, retinanet

__all__ = ["Detector", "mask_rcnn", "retinanet"]
