"""What bfloat16 autocast changes of the answers of trained models: ``python -m benchmarks.agreement [--runs FOLDER]``.

Trains the recipes `digits` and `scenes_segment` by the command unless their runs are there, and compares answers for
what was held out with those in float32: as autocast is, and with parts that decide on neighbors kept out of it.
"""

import argparse
import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.utils.flop_counter import FlopCounterMode
from torchvision.io import decode_image

from benchmarks.measure import save
from vig_pyg.blocks import Grapher
from vig_pyg.data.digits import load_digits
from vig_pyg.data.masks import load_segmentation_data
from vig_pyg.tasks.classifier import load_model
from vig_pyg.tasks.segmentation import load_segmenter

BATCH = 40
SIDE = 128  # of a scene
# Which modules, by name and module, stay in float32.
KEPT: dict[str, Callable[[str, nn.Module], bool]] = {
    "autocast": lambda name, module: False,
    "first maps of Graphers in float32": lambda name, module: name.endswith("grapher.fc1"),
    "stem in float32": lambda name, module: name.endswith("stem"),
    "stem and first maps in float32": lambda name, module: name.endswith(("stem", "grapher.fc1")),
    "stem and Graphers in float32": lambda name, module: name.endswith("stem") or isinstance(module, Grapher),
}


def keep_float32(module: nn.Module) -> None:
    """Have a module computed in float32, whatever autocast says."""
    forward = module.forward

    def in_float32(*args: object) -> object:
        with torch.autocast("cpu", enabled=False):
            return forward(*(a.float() if isinstance(a, Tensor) and a.is_floating_point() else a for a in args))

    module.forward = in_float32  # type: ignore[method-assign]


def answers(model: nn.Module, images: Tensor) -> Tensor:
    """Return the logits of all images."""
    with torch.no_grad():
        return torch.cat([model(some).float() for some in images.split(BATCH)])


def share_of_macs(model: nn.Module, image: Tensor, kept: list[str]) -> float:
    """Return which share of multiply-accumulates modules of these names take."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(image)
    counts = counter.get_flop_counts()
    of_module = {name: sum(counts.get(f"{type(model).__name__}.{name}", {}).values()) for name in kept}
    return sum(of_module.values()) / counter.get_total_flops()


def compare(model: nn.Module, images: Tensor) -> dict[str, dict[str, float]]:
    """Return how much agrees with float32, and at which cost, for every choice of what stays in it."""
    expected, rows = answers(model, images), {}
    first, second = expected.topk(2, 1).values.unbind(1)
    clear = first - second > 0.1 * (first - second).mean()
    for name, is_kept in KEPT.items():
        changed = copy.deepcopy(model)
        kept = [own for own, module in changed.named_modules() if is_kept(own, module)]
        share = share_of_macs(changed, images[:1], kept)
        for own in kept:
            keep_float32(changed.get_submodule(own))
        with torch.autocast("cpu", torch.bfloat16):
            found = answers(changed, images)
        same = found.argmax(1) == expected.argmax(1)
        rows[name] = {
            "agreement": round(same.double().mean().item(), 5),
            "agreement where float32 is not torn": round(same[clear].double().mean().item(), 5),
            "relative error of logits": round(((found - expected).norm() / expected.norm()).item(), 4),
            "share of MACs in float32": round(share, 4),
        }
        print(name, rows[name], flush=True)
    return rows


def run_of(recipe: str, runs: Path) -> Path:
    """Return the folder of a run, trained unless it is there."""
    if not (runs / recipe / "last").exists():  # written after the last epoch
        words = ["train", "--recipe", recipe, "--out", str(runs / recipe)]
        subprocess.run([sys.executable, "-m", "vig_pyg", *words], check=True)
    return runs / recipe


def main() -> None:
    """Train, compare and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/agreement"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/agreement-cpu.json"))
    args = parser.parse_args()
    digits = load_digits()
    model, _ = load_model(run_of("digits", args.runs))
    results = {"digits, 359 held out": compare(model, digits.test_images)}
    results["digits, all 1797"] = compare(model, torch.cat([digits.test_images, digits.train_images]))
    segmenter = load_segmenter(run_of("scenes_segment", args.runs))
    files = [pair.image for pair in load_segmentation_data("digits-scenes").test]
    scenes = [decode_image(str(file)).float().unsqueeze(0) / 255 for file in files]
    together = torch.cat([interpolate(scene, size=(SIDE, SIDE), mode="bilinear") for scene in scenes])
    results["pixels of 200 scenes held out"] = compare(segmenter.model.eval(), together)
    save(args.out, results)


if __name__ == "__main__":
    main()
