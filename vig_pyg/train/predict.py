"""Classifying image files, one batch after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vig_pyg.data.files import image_files, is_folder, matching_files
from vig_pyg.data.images import read_image
from vig_pyg.data.transforms import image_mode


class Prediction(NamedTuple):
    """The best guesses for a file, the best first, with their probabilities; or why it could not be read."""

    path: Path
    guesses: list[tuple[str, float]]
    error: str | None = None


def find_images(places: Iterable[str | Path]) -> Iterator[Path]:
    """Yield the image files that files, folders (searched through) and patterns name, each place in order.

    A folder and a pattern give each real file once, whatever links lead to it.

    Raises:
        FileNotFoundError: a place names no image.
        ValueError: a place cannot be a name, or a folder holds hardly any images among very many files.
    """
    for place in places:
        files = _images_of(place)
        first = next(files, None)
        if first is None:
            raise FileNotFoundError(f"{str(place)!r} names no image: give files, folders or a pattern such as '*.jpg'")
        yield first
        yield from files


def _images_of(place: str | Path) -> Iterator[Path]:
    if is_folder(place):
        yield from image_files(place)
    elif Path(place).exists():
        yield Path(place)
    else:
        yield from matching_files(str(place))


def distinct_images(places: Iterable[str | Path]) -> list[Path]:
    """Return the image files that places name, as :func:`find_images` does, if each can have a picture of its name.

    Raises:
        FileNotFoundError: a place names no image.
        ValueError: two files have one name.
    """
    files = list(find_images(places))
    seen: dict[str, Path] = {}
    for file in files:
        if (other := seen.setdefault(file.stem, file)) != file:
            raise ValueError(f"{other} and {file} would both be written to {file.stem}.png: take them one by one")
    return files


def read_batches(
    files: Iterable[Path], batch: int, read: Callable[[Path], Tensor]
) -> Iterator[list[tuple[Path, Tensor | str]]]:
    """Yield so many files at a time, each with its image, or with what is wrong with it.

    Raises:
        ValueError: ``batch`` is below 1.
    """
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    waiting = iter(files)
    while chunk := list(islice(waiting, batch)):
        yield [(path, _image_or_reason(path, read)) for path in chunk]


def _image_or_reason(path: Path, read: Callable[[Path], Tensor]) -> Tensor | str:
    try:
        return read(path)
    except (OSError, ValueError) as error:
        return str(error)


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
