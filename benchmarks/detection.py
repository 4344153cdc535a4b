"""The sizes of the paper's Table 10: detectors on several backbones at 1280×800.

``python -m benchmarks.detection [--backbones NAME …] [--rounds N]`` (``--rounds 0``: without speed and memory) prints
them in Markdown. Ours that the paper does not have stand beside the others without its figures.
Multiply-accumulates are given twice: all, and without those that find a node's neighbors. The paper's counter sees
layers only, and takes 1000 regions for the box head and 100 for the mask head, as here.
"""

import argparse
import statistics
from collections import OrderedDict
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import peak_memory, save
from vig_pyg.detection import Detector
from vig_pyg.graph import KNNGraph
from vig_pyg.models.detectors import HEADS
from vig_pyg.study.cost import count_parameters, in_turn

HEIGHT, WIDTH = 800, 1280
BACKBONES = ("resnet50", "swin_tiny_patch4_window7_224", "pvig_tiny", "pvig_small", "pvig_medium", "pvig_base")
PAPER = {  # GMAC, AP of boxes, AP of masks
    ("pvig_small", "retinanet"): (240.0, 41.8, None),
    ("pvig_small", "mask_rcnn"): (258.8, 42.6, 39.4),
    ("resnet50", "retinanet"): (239.3, 36.3, None),
    ("resnet50", "mask_rcnn"): (260.1, 38.0, 34.4),
    ("swin_tiny_patch4_window7_224", "retinanet"): (244.8, 41.5, None),
    ("swin_tiny_patch4_window7_224", "mask_rcnn"): (264.0, 42.2, 39.1),
}


def macs(module: nn.Module, *inputs: object) -> tuple[int, int]:
    """Return multiply-accumulates: all, and those of the search for neighbors."""
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
    parser.add_argument("--backbones", nargs="+", default=BACKBONES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "detection-cpu.json")
    args = parser.parse_args()
    rows = {}
    for head in HEADS:
        for backbone in args.backbones:
            gmac, box_ap, mask_ap = PAPER.get((backbone, head), (None, None, None))
            paper = {"paper, GMAC": gmac, "paper, box AP": box_ap, "paper, mask AP": mask_ap}
            rows[head, backbone] = {**size(head, backbone), **paper}
    if args.rounds:
        speeds = seconds(list(rows), args.rounds)
        for name, row in rows.items():
            row |= {"seconds": round(speeds[name], 2), "memory, MB": round(memory(*name))}
    named = {f"{head}, {backbone}": row for (head, backbone), row in rows.items()}
    table = pd.DataFrame(named, dtype=object).T
    print(table.where(table.notna(), "–").to_markdown(disable_numparse=True))
    save(args.out, {f"{WIDTH}×{HEIGHT}, 80 classes": named})


def size(head: str, backbone: str) -> dict[str, float | None]:
    """Return parameters, in millions, and multiply-accumulates, in billions."""
    with torch.device("meta"):
        model = HEADS[head](backbone, 80)
    all_, search = detector_macs(model)
    counts = {"GMAC": all_, "GMAC without the search": all_ - search}
    return {
        "parameters, M": round(count_parameters(model) / 1e6, 2),
        **{name: round(count / 1e9, 1) for name, count in counts.items()},
    }


def seconds(names: list[tuple[str, str]], rounds: int) -> dict[tuple[str, str], float]:
    """Return what one image takes, all detectors in turn: the median of the rounds."""
    image = torch.rand(3, HEIGHT, WIDTH)
    models = {name: HEADS[name[0]](name[1], 80).eval() for name in names}
    with torch.no_grad():
        times = in_turn({name: partial(model, [image]) for name, model in models.items()}, rounds)
    return {name: statistics.median(values) / 1e3 for name, values in times.items()}


def memory(head: str, backbone: str) -> float:
    """Return the memory, in MB, that one image takes beside the model."""
    build = (
        f"import torch\nfrom vig_pyg.detection import {head}\n"
        f"model, image = {head}({backbone!r}, 80).eval(), torch.rand(3, {HEIGHT}, {WIDTH})\n"
    )
    return peak_memory(f"{build}with torch.no_grad():\n    model([image])") - peak_memory(build)


if __name__ == "__main__":
    main()
