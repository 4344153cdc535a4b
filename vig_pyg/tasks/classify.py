"""Classifying image files, one batch after the other."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vig_pyg.data.images import read_batches, read_image
from vig_pyg.data.transforms import image_mode
from vig_pyg.files import write_csv, write_whole
from vig_pyg.tasks.results import Device, Seen


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
    device: Device = "cpu",
) -> Iterator[Prediction]:
    """Yield a prediction for every file, in their order, holding one batch in memory.

    ``top`` is how many guesses to give, at most all; ``transform`` leads from a PIL image to the input of the model,
    which is on the device and returns the logits of ``classes``.

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
            shares, indices = model(torch.stack(readable).to(device)).float().softmax(1).topk(min(top, len(classes)))
            best = zip(indices.tolist(), shares.tolist(), strict=True)
        for path, image in chunk:
            if isinstance(image, Tensor):
                indices, values = next(best)
                yield Prediction(path, [(classes[i], share) for i, share in zip(indices, values, strict=True)])
            else:
                yield Prediction(path, [], image)


def write_predictions(found: Iterable[Prediction], out: Path | None, top: int, seen: Seen) -> str:
    """Write all predictions to a file, as CSV or JSON lines; return what was written, in words.

    ``seen`` is told what is guessed of every file, also where there is no file to write to.
    """
    told = _told(found, seen)
    if out is None:
        deque(told, maxlen=0)
        return ""
    if out.suffix == ".csv":
        write_csv(out, _rows(told, top))
    else:
        write_whole(out, partial(_write_lines, found=told))
    return f"Written to {out}."


def _told(found: Iterable[Prediction], seen: Seen) -> Iterator[Prediction]:
    for prediction in found:
        guesses = ", ".join(f"{name} {100 * share:.1f} %" for name, share in prediction.guesses)
        seen(prediction.path, guesses or f"does not decode: {prediction.error}")
        yield prediction


def _rows(found: Iterable[Prediction], top: int) -> Iterator[list[Any]]:
    """Yield the names of the columns, and one row per image: file, classes and their probabilities, error."""
    yield ["file", *(f"{what}{place + 1}" for place in range(top) for what in ("class", "share")), "error"]
    for path, guesses, error in found:
        cells = [cell for name, share in guesses for cell in (name, f"{share:.6f}")]
        yield [path, *cells, *[""] * (2 * top - len(cells)), error or ""]


def _write_lines(out: Path, found: Iterable[Prediction]) -> None:
    """Write one JSON object per image and line."""
    with out.open("w") as file:
        for path, guesses, error in found:
            row = {"file": str(path), "guesses": [{"class": name, "share": share} for name, share in guesses]}
            file.write(json.dumps(row | ({"error": error} if error else {})) + "\n")
