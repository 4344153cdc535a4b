"""Object detection and instance segmentation on graph backbones."""

from vig_pyg.data.coco import Coco, CocoImages, load_coco
from vig_pyg.models.detectors import Detector, mask_rcnn, retinanet
from vig_pyg.tasks.average_precision import AveragePrecision, evaluate
from vig_pyg.tasks.detect import Prediction, coco_results, draw, predict
from vig_pyg.tasks.detection import Detection, DetectionRecipe, build_detector, load_detector, save_detector

__all__ = [
    "AveragePrecision",
    "Coco",
    "CocoImages",
    "Detection",
    "DetectionRecipe",
    "Detector",
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
