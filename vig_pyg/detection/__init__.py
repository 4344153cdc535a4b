"""Object detection and instance segmentation on graph backbones."""

from vig_pyg.detection.coco import Coco, CocoImages, load_coco
from vig_pyg.detection.evaluate import Found, evaluate
from vig_pyg.detection.models import Detector, mask_rcnn, retinanet
from vig_pyg.detection.predict import Prediction, coco_results, draw, predict
from vig_pyg.detection.task import Detection
from vig_pyg.detection.weights import build_detector, load_detector, save_detector

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
