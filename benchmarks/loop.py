"""What the training loop costs beside the bare step of the model: ``python -m benchmarks.loop``."""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_sample_images

from benchmarks.measure import save, summarize
from vig_pyg.data.labeled import ImageTensorDataset
from vig_pyg.study.cost import in_turn
from vig_pyg.train import ClassificationData, Recipe, accelerator_for, build_model, fit, load_data, read_recipe


def bare_steps(recipe: Recipe, data: ClassificationData, updates: int) -> None:
    """Train the recipe's model with nothing but forward, backward and AdamW, on tensors in memory."""
    model = build_model(recipe, len(data.classes), data.channels).train()
    optimizer = torch.optim.AdamW(model.parameters(), recipe.learning_rate)
    images, labels = data.train.images[: recipe.batch], data.train.labels[: recipe.batch]
    for _ in range(updates):
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def overhead(rounds: int) -> dict[str, object]:
    """Measure an epoch of ours on the digits against as many bare steps; both build their model."""
    recipe = read_recipe("digits", ["epochs=1", "warmup_epochs=0"])
    digits = load_data("digits")
    data = digits._replace(test=ImageTensorDataset(digits.test.images[:1], digits.test.labels[:1]))
    updates = len(data.train) // recipe.batch

    def loop() -> None:
        fit(build_model(recipe, 10, 1), data, recipe, accelerator=accelerator_for(recipe, "cpu"))

    calls = {"bare steps": lambda: bare_steps(recipe, data, updates), "fit": loop}
    return summarize(in_turn(calls, rounds), "bare steps")


def waiting(images: int, workers: int) -> dict[str, float]:
    """Measure the share of an epoch of vig_tiny that is spent waiting for JPEGs of 500×375 pixels."""
    with tempfile.TemporaryDirectory() as folder:
        photographs, generator = load_sample_images().images, np.random.default_rng(0)
        for number in range(images):
            top, left = generator.integers(0, 50), generator.integers(0, 130)
            crop = photographs[number % 2][top : top + 375, left : left + 500]
            path = Path(folder) / f"class{number % 2}" / f"{number}.jpg"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(crop).save(path, quality=90)
        words = ["model=vig_tiny", f"data={folder}", "epochs=1", "warmup_epochs=0", "batch=16", f"workers={workers}"]
        recipe = read_recipe("deit", [*words, "device_batch=16", "repeated_augmentation=1"])
        data = load_data(folder)
        start = time.perf_counter()
        (epoch,) = fit(build_model(recipe, 2), data, recipe, accelerator=accelerator_for(recipe, "cpu"))
        return {"images": images, "seconds": time.perf_counter() - start, "share of the time waiting": epoch.waiting}


def main() -> None:
    """Measure both and save what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    results = {"an epoch of vig_micro on the digits": overhead(args.rounds)}
    print(results)
    results["vig_tiny on a folder of JPEGs"] = waiting(args.images, args.workers)  # type: ignore[assignment]
    print(results)
    save(args.out / "loop-cpu.json", results)


if __name__ == "__main__":
    main()
