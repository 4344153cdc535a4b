"""The successors of ViG beside their authors' code: the same outputs, and how much faster.

    python -m benchmarks.successors FOLDER

``FOLDER`` holds clones of the authors' repositories, ``SLDGroup/MobileViG``, ``SLDGroup/MobileViGv2``,
``SLDGroup/GreedyViG``, ``mmunir127/AdaptViG`` and ``EIDOSLAB/WiGNet``. Both models get the same random weights, running
statistics and scales; their logits are compared in float64. Then both run in turn in one process: inference (ours with
norms folded) and a training step.
"""

import argparse
import importlib
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor, nn

import vig_pyg
from benchmarks.measure import save, summarize
from vig_pyg.study.cost import in_turn

# Of every model: the authors' repository and what to import from it, module and name.
AUTHORS = {
    "mobilevig_tiny": ("SLDGroup/MobileViG", "models.mobilevig", "mobilevig_ti"),
    "mobilevig_small": ("SLDGroup/MobileViG", "models.mobilevig", "mobilevig_s"),
    "mobilevigv2_tiny": ("SLDGroup/MobileViGv2", "models.mobilevigv2", "mobilevigv2_ti"),
    "mobilevigv2_small": ("SLDGroup/MobileViGv2", "models.mobilevigv2", "mobilevigv2_s"),
    "greedyvig_small": ("SLDGroup/GreedyViG", "models.greedyvig", "GreedyViG_S"),
    "greedyvig_medium": ("SLDGroup/GreedyViG", "models.greedyvig", "GreedyViG_M"),
    "adaptvig_small": ("mmunir127/AdaptViG", "models.adaptvig", "AdaptViG_S"),
    "adaptvig_medium": ("mmunir127/AdaptViG", "models.adaptvig", "AdaptViG_M"),
    "wignet_tiny": ("EIDOSLAB/WiGNet/src", "model.wignn", "wignn_ti_224_gelu"),
}
SIZES = ((224, 224), (200, 264))  # WiGNet's code takes the first only
UNUSED = ("einops", "torchprofile")  # what that imports and does not use


def theirs(folder: Path, repository: str, module: str, name: str) -> nn.Module:
    """Return the authors' model."""
    if not (folder / repository).is_dir():
        raise SystemExit(f"there is no {folder / repository}: clone it there")
    for unused in UNUSED:
        stub = sys.modules.setdefault(unused, ModuleType(unused))
        stub.rearrange = stub.repeat = stub.profile_macs = None  # type: ignore[attr-defined]
    np.float = float  # type: ignore[attr-defined]  # as before NumPy 1.24
    for known in [known for known in sys.modules if known.split(".")[0] in ("models", "model", "gcn_lib")]:
        del sys.modules[known]
    sys.path.insert(0, str(folder / repository))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old names of timm's, and ours that theirs replace
        found = getattr(importlib.import_module(module), name)()
    sys.path.pop(0)
    return found


def randomized(model: nn.Module) -> dict[str, Tensor]:
    """Give a model running statistics, scales and temperatures that show in its output; return its weights."""
    torch.manual_seed(0)
    state = model.state_dict()
    for name, value in state.items():
        if name.endswith("running_var") or "layer_scale" in name:
            value.copy_(torch.rand_like(value) + 0.5)
        elif name.endswith("running_mean"):
            value.copy_(0.1 * torch.randn_like(value))
        elif name.endswith("temperature"):
            value.fill_(30)
    return state


def difference(ours: nn.Module, other: nn.Module, sizes: tuple[tuple[int, int], ...]) -> float:
    """Return the largest difference of logits, relative to the largest logit, in float64."""
    worst = 0.0
    for size in sizes:
        images = torch.randn(2, 3, *size, dtype=torch.double)
        with torch.no_grad():
            expected = other.double().eval()(images)
            worst = max(worst, ((ours.double().eval()(images) - expected).abs().max() / expected.abs().max()).item())
    return worst


@torch.no_grad()
def classify(model: nn.Module, images: Tensor) -> None:
    """Run a model on images, without gradient."""
    model(images)


def step(model: nn.Module, images: Tensor) -> None:
    """Do what a training step does before the optimizer, with all classifiers."""
    out = model(images)
    heads = out if isinstance(out, tuple) else (out,)
    sum(head.square().mean() for head in heads).backward()


def compare(name: str, folder: Path, batch: int, rounds: int) -> dict[str, Any]:
    """Return the difference of logits and, per round, milliseconds of inference and of a training step."""
    windows = name.startswith("wignet")
    other = theirs(folder, *AUTHORS[name])
    ours = timm.create_model(name, drop_path_rate=0.1, **({"img_size": 224} if windows else {}))
    vig_pyg.load_checkpoint(ours, randomized(other))
    apart = difference(ours, other, SIZES[:1] if windows else SIZES)
    ours, other, images = ours.float(), other.float(), torch.randn(batch, 3, 224, 224)
    fused = vig_pyg.fuse_for_inference(ours)
    inference = in_turn({"authors": lambda: classify(other, images), "ours": lambda: classify(fused, images)}, rounds)
    if not windows:
        ours.set_distilled_training()
    ours.train(), other.train()
    training = in_turn({"authors": lambda: step(other, images), "ours": lambda: step(ours, images)}, rounds)
    return {
        "difference": apart,
        "inference": summarize(inference, "authors"),
        "training step": summarize(training, "authors"),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="*", default=list(AUTHORS), choices=list(AUTHORS))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = {}
    for name in given.models:
        rows[name] = row = compare(name, given.folder, given.batch, given.rounds)
        fast = [f"{what} {row[what]['ours']['times as fast']:.2f}" for what in ("inference", "training step")]
        print(f"{name}: differs by {row['difference']:.1e}, times as fast: {', '.join(fast)}", flush=True)
    save(given.out / "successors-cpu.json", {"batch": given.batch, "threads": given.threads, "models": rows})


if __name__ == "__main__":
    main()
