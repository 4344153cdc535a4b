"""What ``benchmarks.versions`` starts for each version: ``answer.py BATCH MODEL …`` runs a task per line that it reads.

The library, and the calls that are measured, are those of the checkout whose folder is in ``PYTHONPATH``.
"""

import sys

import timm
import torch

from benchmarks.speed import inference, training_step


def main() -> None:
    """Build the models, say so, and say after every task that it is done."""
    batch, *names = sys.argv[1:]
    images, calls = torch.randn(int(batch), 3, 224, 224, generator=torch.Generator().manual_seed(0)), {}
    for name in names:
        calls[f"{name}, inference"] = inference(timm.create_model(name), images)
        calls[f"{name}, training step"] = training_step(timm.create_model(name), images)
    print("ready", flush=True)
    for line in sys.stdin:
        calls[line.strip()]()
        print("done", flush=True)


if __name__ == "__main__":
    main()
