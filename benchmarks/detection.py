"""The sizes of the paper's Table 10: detectors on several backbones at 1280×800.

``python -m benchmarks.detection [--backbones NAME …] [--rounds N]`` (``--rounds 0``: without speed and memory).
Multiply-accumulates are given twice: all, and without those that find a node's neighbours. The paper's counter sees
layers only, and takes 1000 regions for the box head and 100 for the mask head, as here.
"""

import argparse
import statistics
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import in_turn, peak_memory, save
from vig_pyg.detection import Detector
from vig_pyg.detection.models import HEADS
from vig_pyg.graph import KNNGraph
from vig_pyg.study.cost import count_parameters

HEIGHT, WIDTH = 800, 1280
PAPER = {  # GMAC, AP of boxes, AP of masks
    ("pvig_small", "retinanet"): (240.0, 41.8, None),
    ("pvig_small", "mask_rcnn"): (258.8, 42.6, 39.4),
    ("resnet50", "retinanet"): (239.3, 36.3, None),
    ("resnet50", "mask_rcnn"): (260.1, 38.0, 34.4),
    ("swin_tiny_patch4_window7_224", "retinanet"): (244.8, 41.5, None),
    ("swin_tiny_patch4_window7_224", "mask_rcnn"): (264.0, 42.2, 39.1),
}


def macs(module: nn.Module, *inputs: object) -> tuple[int, int]:
    """Return multiply-accumulates: all, and those of the search for neighbours."""
    with torch.no_grad(), FlopCounterMode(display=False, depth=None) as counter:
        module(*inputs)
    counts, root = counter.get_flop_counts(), type(module).__name__
    searches = [f"{root}.{name}" for name, part in module.named_modules() if isinstance(part, KNNGraph)]
    return counter.get_total_flops() // 2, sum(sum(counts[name].values()) for name in searches if name in counts) // 2


def detector_macs(model: Detector) -> tuple[int, int]:
    """Return the multiply-accumulates of a detector on the meta device for one image: all, and the search."""
    model.eval()
    images = torch.empty(1, 3, HEIGHT, WIDTH, device="meta")
    all_, search = macs(model.backbone, images)
    levels: OrderedDict[str, torch.Tensor] = model.backbone(images)
    if not model.finds_masks:
        return all_ + macs(model.head, list(levels.values()))[0], search
    heads, width = model.roi_heads, model.backbone.out_channels
    boxes = nn.Sequential(heads.box_head, heads.box_predictor)
    masks = nn.Sequential(heads.mask_head, heads.mask_predictor)
    all_ += macs(model.rpn.head, list(levels.values()))[0]
    all_ += macs(boxes, torch.empty(1000, width, 7, 7, device="meta"))[0]
    return all_ + macs(masks, torch.empty(100, width, 14, 14, device="meta"))[0], search


def main() -> None:
    """Count, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbones", nargs="+", default=sorted({backbone for backbone, _ in PAPER}))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "detection-cpu.json")
    args = parser.parse_args()
    rows: dict[str, dict[str, object]] = {}
    for backbone in args.backbones:
        for head, build in HEADS.items():
            with torch.device("meta"):
                model = build(backbone, 80)
            all_, search = detector_macs(model)
            gmac, box_ap, mask_ap = PAPER.get((backbone, head), (None, None, None))
            rows[f"{head}, {backbone}"] = row = {
                "parameters, M": round(count_parameters(model) / 1e6, 2),
                "GMAC": round(all_ / 1e9, 1),
                "GMAC without the search": round((all_ - search) / 1e9, 1),
                "paper, GMAC": gmac,
                "paper, box AP": box_ap,
                "paper, mask AP": mask_ap,
            }
            if args.rounds:
                row |= speed_and_memory(backbone, head, args.rounds)
            print(f"{head}, {backbone}", row, flush=True)
    save(args.out, {f"{WIDTH}×{HEIGHT}, 80 classes": rows})


def speed_and_memory(backbone: str, head: str, rounds: int) -> dict[str, float]:
    """Return seconds for one image, and the memory that it takes beside the model, in MB."""
    model, image = HEADS[head](backbone, 80).eval(), torch.rand(3, HEIGHT, WIDTH)
    with torch.no_grad():
        milliseconds = statistics.median(in_turn({"model": lambda: model([image])}, rounds)["model"])
    build = (
        f"import torch\nfrom vig_pyg.detection import {head}\n"
        f"model, image = {head}({backbone!r}, 80).eval(), torch.rand(3, {HEIGHT}, {WIDTH})\n"
    )
    memory = peak_memory(f"{build}with torch.no_grad():\n    model([image])") - peak_memory(build)
    return {"seconds": round(milliseconds / 1e3, 2), "memory, MB": round(memory)}


if __name__ == "__main__":
    main()
