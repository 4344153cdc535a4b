"""Opening image files: upright, 8 bits a channel, and no larger than a limit. Every door to images leads through here.

Orientation is that of EXIF, as viewers show it. Of 16 bits the upper eight are kept, as Pillow does with colors.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from PIL.ExifTags import Base
from torch import Tensor

MAX_PIXELS = 2 * 89_478_485  # of an image; what Pillow takes for a decompression bomb
LARGEST_IMAGE = 8192  # pixels a side, of what a recipe may ask for
LIMIT = "VIG_PYG_MAX_PIXELS"  # the environment variable with another limit, which processes that load images inherit


def max_pixels() -> int:
    """Return how many pixels an image may have, in its file and resized.

    Raises:
        ValueError: the environment variable is no whole number of at least 1.
    """
    text = os.environ.get(LIMIT, str(MAX_PIXELS))
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{LIMIT} must be a whole number of at least 1, got {text!r}")
    return int(text)


def limit_pixels(pixels: int) -> None:
    """Let images have so many pixels at most, in their files and resized, in this process and those it starts.

    Raises:
        ValueError: ``pixels`` is below 1.
    """
    if pixels < 1:
        raise ValueError(f"max_pixels must be at least 1, got {pixels}")
    os.environ[LIMIT] = str(pixels)


def check_pixels(size: Sequence[int], what: str = "an image has") -> None:
    """Refuse a size ``(width, height)`` of more pixels than the limit.

    Raises:
        ValueError: names size and limit.
    """
    width, height = size
    if width * height > (limit := max_pixels()):
        raise ValueError(
            f"{what} {width:,}×{height:,} = {width * height:,} pixels, more than the limit of {limit:,} (max_pixels)"
        )


def check_resized(size: Sequence[int], shorter: float) -> None:
    """Refuse an image of a size ``(width, height)`` that has too many pixels once its shorter side is ``shorter``.

    Raises:
        ValueError: names both sizes and the limit.
    """
    width, height = (round(side * shorter / min(size)) for side in size)
    check_pixels((width, height), f"an image of {size[0]:,}×{size[1]:,} pixels would be resized to")


def read_image(path: Path, mode: str = "RGB") -> Image.Image:
    """Return an image file as a model takes it, see :func:`open_image` and :func:`in_mode`.

    Args:
        path: The file.
        mode: Pillow's name for the channels: ``RGB`` or ``L``.
    """
    return in_mode(open_image(path), mode, str(path))


def open_image(path: Path | str) -> Image.Image:
    """Return the first image of a file, decoded and upright, in the file's own mode.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no regular file (never opened: a pipe would wait for ever), has too many pixels, or does not
            decode; names the file.
    """
    with _opened(path) as image:
        check_pixels(image.size, f"{path} has")
        with _decoding(path):
            image.load()
            return upright(image)


def size_of(path: Path) -> tuple[int, int] | None:
    """Return the width and height of an image file once it is upright, without decoding it; None if it is damaged.

    Raises:
        ValueError: it is no regular file, or has too many pixels.
    """
    try:
        image = _opened(path)
    except ValueError as error:
        if error.__cause__ is None or isinstance(error.__cause__, Image.DecompressionBombError):
            raise
        return None
    with image:
        check_pixels(image.size, f"{path} has")
        turned = image.format != "TIFF" and _orientation(image) in (5, 6, 7, 8)  # Pillow turns TIFFs itself
        return image.size[::-1] if turned else image.size


def upright(image: Image.Image) -> Image.Image:
    """Return a decoded image as its EXIF orientation says it is to be seen."""
    return ImageOps.exif_transpose(image) if _orientation(image) in range(2, 9) else image


def in_mode(image: Image.Image, mode: str, name: str = "the image") -> Image.Image:
    """Return a decoded image with the channels a model takes, 8 bits each.

    Whole numbers of 16 bits lose the lower eight; floating point numbers must be from 0 to 1, and become 0 to 255.

    Args:
        image: Upright.
        mode: ``RGB`` or ``L``.
        name: Of the image, for sentences.

    Raises:
        ValueError: its values are not finite or out of their range.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        low, high = values.min(), values.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError(f"{name} holds values that are not finite")
        most = 1 if image.mode == "F" else 2**16 - 1
        if low < 0 or high > most:
            raise ValueError(f"{name} holds values from {low:g} to {high:g}, but they must be from 0 to {most:,}")
        bytes_ = np.round(values * 255) if image.mode == "F" else values >> 8
        image = Image.fromarray(bytes_.astype(np.uint8))
    return image.convert(mode)


def _opened(path: Path | str) -> Image.Image:
    """Let Pillow open a regular file; its own limit is raised where ours is above it, and never lowered."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # a name too long, links in a circle, a zero byte
        raise ValueError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is no regular file")
    with _decoding(path):
        half = max_pixels() // 2  # Pillow warns at its limit and refuses twice as much
        if Image.MAX_IMAGE_PIXELS is not None and half > Image.MAX_IMAGE_PIXELS:
            Image.MAX_IMAGE_PIXELS = half
        return Image.open(path)


def _orientation(image: Image.Image) -> int:
    try:
        # Not PNG's own, which would decode the pixels to look for EXIF that comes after them.
        return Image.Image.getexif(image).get(Base.Orientation, 1)
    except Exception:  # damaged EXIF says nothing
        return 1


@contextmanager
def _decoding(path: Path | str) -> Iterator[None]:
    """Name the file of whatever a decoder raises."""
    try:
        yield
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"{path} is no image that can be read") from error
    except Exception as error:  # every decoder has its own
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ValueError(f"{path} does not decode: {reason}") from error


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
