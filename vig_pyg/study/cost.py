"""What a model costs: parameters, multiply-accumulates, time."""

import statistics
import time
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@torch.no_grad()
def count_macs(model: nn.Module, images: Tensor) -> int:
    """Return multiply-accumulates per image in evaluation mode: half of what torch's flop counter counts."""
    training = model.training
    with FlopCounterMode(display=False) as counter:
        model.eval()(images)
    model.train(training)
    return counter.get_total_flops() // 2 // len(images)


@torch.no_grad()
def milliseconds_per_image(models: Mapping[str, nn.Module], images: Tensor, rounds: int = 7) -> dict[str, float]:
    """Return each model's median time per image in evaluation mode, all models measured in turn."""
    times: dict[str, list[float]] = {name: [] for name in models}
    for round_ in range(-1, rounds):  # the first is for warming up
        for name, model in models.items():
            model.eval()
            start = time.perf_counter()
            model(images)
            if images.is_cuda:
                torch.cuda.synchronize(images.device)
            if round_ >= 0:
                times[name].append((time.perf_counter() - start) * 1e3 / len(images))
    return {name: statistics.median(values) for name, values in times.items()}
