"""Classifying image files, one batch after the other."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vig_pyg.data.images import read_batches, read_image
from vig_pyg.data.transforms import image_mode
from vig_pyg.files import check_place, write_whole


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


def shown(found: Iterable[Prediction], seen: Callable[[Path, str], None]) -> Iterator[Prediction]:
    """Yield predictions, each after it was told in words."""
    for prediction in found:
        guesses = ", ".join(f"{name} {100 * share:.1f} %" for name, share in prediction.guesses)
        seen(prediction.path, guesses or f"does not decode: {prediction.error}")
        yield prediction


def check_place_of_predictions(out: Path | None) -> Path | None:
    """Return a file that predictions can be written to, None for none.

    Raises:
        ValueError: its name has another ending than ``.csv`` or ``.jsonl``.
        OSError: it cannot be written.
    """
    if out is not None and out.suffix not in (".csv", ".jsonl"):
        raise ValueError(f"--out must end in .csv or .jsonl, got {str(out)!r}")
    if out is not None:
        check_place(out)
    return out


def write_predictions(found: Iterator[Prediction], out: Path | None, top: int) -> str:
    """Write all predictions to a file, as CSV or JSON lines; return what was written, in words."""
    if out is None:
        for _ in found:
            pass
        return ""
    write = _write_csv if out.suffix == ".csv" else _write_jsonl
    write_whole(out, lambda path: write(path, found, top))
    return f"Written to {out}."


def _write_csv(path: Path, found: Iterable[Prediction], top: int) -> None:
    """Write one row per image: file, classes and their probabilities, error."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", *(f"{what}{place + 1}" for place in range(top) for what in ("class", "share")), "error"])
        for path_, guesses, error in found:
            cells = [cell for name, share in guesses for cell in (name, f"{share:.6f}")]
            rows.writerow([path_, *cells, *[""] * (2 * top - len(cells)), error or ""])


def _write_jsonl(path: Path, found: Iterable[Prediction], top: int) -> None:
    """Write one JSON object per image and line."""
    with path.open("w") as file:
        for path_, guesses, error in found:
            row = {"file": str(path_), "guesses": [{"class": name, "share": share} for name, share in guesses]}
            file.write(json.dumps(row | ({"error": error} if error else {})) + "\n")
