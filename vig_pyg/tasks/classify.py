"""Classifying image files, one batch after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vig_pyg.data.images import read_batches, read_image
from vig_pyg.data.transforms import image_mode


class Prediction(NamedTuple):
    """The best guesses for a file, the best first, with their probabilities; or why it could not be read."""

    path: Path
    guesses: list[tuple[str, float]]
    error: str | None = None


@torch.no_grad()
def predict(
    model: nn.Module,
    classes: list[str],
    files: Iterable[Path],
    transform: Callable[[Any], Tensor],
    *,
    top: int = 5,
    batch: int = 32,
    device: torch.device | str = "cpu",
) -> Iterator[Prediction]:
    """Yield a prediction for every file, in their order, holding one batch in memory.

    Args:
        model: From images to logits.
        classes: Their names.
        files: Image files.
        transform: From a PIL image to the model's input.
        top: How many guesses to give, at most all.
        batch: Images at once.
        device: Where the model is.

    Raises:
        ValueError: ``top`` or ``batch`` is below 1.
    """
    if top < 1 or batch < 1:
        raise ValueError(f"top and batch must be at least 1, got {top} and {batch}")
    model.eval()
    mode = image_mode(model)
    for chunk in read_batches(files, batch, lambda path: transform(read_image(path, mode))):
        readable = [image for _, image in chunk if isinstance(image, Tensor)]
        best: Iterator[Any] = iter(())
        if readable:
            shares = model(torch.stack(readable).to(device)).float().softmax(1).topk(min(top, len(classes)))
            best = zip(shares.indices.tolist(), shares.values.tolist(), strict=True)
        for path, image in chunk:
            if isinstance(image, Tensor):
                indices, values = next(best)
                yield Prediction(path, [(classes[i], share) for i, share in zip(indices, values, strict=True)])
            else:
                yield Prediction(path, [], image)
