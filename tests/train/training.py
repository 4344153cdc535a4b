"""A small training as a process of its own: ``python training.py OUT [--resume] [key=value …]``."""

import json
import sys
from pathlib import Path

import torch

import vig_pyg  # noqa: F401
from vig_pyg.data.labeled import ImageTensorDataset
from vig_pyg.train import ClassificationData, accelerator_for, build_model, fit, load_data, read_recipe

SMALL = ("epochs=3", "warmup_epochs=1", "batch=24", "device_batch=12", "drop_path=0.2", "ema_decay=0.9")


def small_digits(train: int = 120, test: int = 37) -> ClassificationData:
    """Return a few of the digits with some noise: among equal patches neighbors would be a matter of rounding."""
    digits = load_data("digits")
    noise = 0.1 * torch.randn(max(train, test), 1, 32, 32, generator=torch.Generator().manual_seed(0))
    sizes = (digits.train, train), (digits.test, test)
    parts = [ImageTensorDataset(part.images[:n] + noise[:n], part.labels[:n]) for part, n in sizes]
    return digits._replace(train=parts[0], test=parts[1])


def main() -> None:
    out, resume = Path(sys.argv[1]), "--resume" in sys.argv
    recipe = read_recipe("digits", [*SMALL, *(word for word in sys.argv[2:] if "=" in word)])
    torch.manual_seed(recipe.seed)
    model = build_model(recipe, 10, channels=1)
    accelerator = accelerator_for(recipe, "cpu")
    history = fit(model, small_digits(), recipe, out, resume=resume, accelerator=accelerator)
    if accelerator.is_main_process:
        (out / "history.json").write_text(json.dumps([epoch.row() for epoch in history]))


if __name__ == "__main__":
    main()
