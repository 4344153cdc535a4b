"""Object detection and instance segmentation on graph backbones."""

from vig_pyg.data.coco import Coco, CocoImages, load_coco
from vig_pyg.models.detectors import Detector, mask_rcnn, retinanet
from vig_pyg.tasks.average_precision import Found, evaluate
from vig_pyg.tasks.detect import Prediction, coco_results, draw, predict
from vig_pyg.tasks.detection import Detection
from vig_pyg.tasks.detector_weights import build_detector, load_detector, save_detector

__all__ = [
    "Coco",
    "CocoImages",
    "Detection",
    "Detector",
    "Found",
    "Prediction",
    "build_detector",
    "coco_results",
    "draw",
    "evaluate",
    "load_coco",
    "load_detector",
    "mask_rcnn",
    "predict",
    "retinanet",
    "save_detector",
]
