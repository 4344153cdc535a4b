"""What the recipes for `digits-scenes` reach, and how long they take.

``python -m benchmarks.scenes [--runs FOLDER]`` trains each from random weights by the command, unless its run is there,
and collects the figures of the last epoch and the seconds of all epochs, evaluation included.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

from benchmarks.measure import save

RECIPES = ("scenes", "scenes_masks", "scenes_segment")
SHOWN = ("box_ap", "box_ap50", "mask_ap", "mask_ap50", "miou", "pixel_accuracy")


def main() -> None:
    """Train, collect and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/scenes"))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "scenes-cpu.json")
    args = parser.parse_args()
    rows = {}
    for recipe in RECIPES:
        folder = args.runs / recipe
        if not (folder / "last").exists():  # written after the last epoch
            words = ["train", "--recipe", recipe, "--out", str(folder), *(["--resume"] if folder.exists() else [])]
            subprocess.run([sys.executable, "-m", "vig_pyg", *words], check=True)
        epochs = pd.read_csv(folder / "metrics.csv")
        rows[recipe] = {name: round(float(epochs[name].iloc[-1]), 4) for name in SHOWN if name in epochs}
        rows[recipe] |= {"epochs": len(epochs), "seconds": round(float(epochs["seconds"].sum()), 1)}
        print(recipe, json.dumps(rows[recipe]))
    save(args.out, {"digits-scenes, seed 0": rows})


if __name__ == "__main__":
    main()
