"""Class maps of image files, and pictures of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.utils import draw_segmentation_masks

from vig_pyg.data.images import check_resized, read_batches
from vig_pyg.data.masks import BACKGROUND, ResizeImage, read_image
from vig_pyg.files import write_csv, write_whole
from vig_pyg.tasks.iou import guess_classes
from vig_pyg.tasks.results import Device, Seen


class ClassMap(NamedTuple):
    """The image ``[3, H, W]`` of a file and the class of every pixel ``[H, W]``, bytes; or why it could not be read."""

    path: Path
    image: Tensor | None
    classes: Tensor | None
    error: str | None = None


@torch.no_grad()
def segment(
    model: nn.Module,
    files: Iterable[Path],
    *,
    image_size: int | None = None,
    batch: int = 1,
    device: Device = "cpu",
) -> Iterator[ClassMap]:
    """Yield the class map of every file, in their order, holding one batch in memory.

    The model, on the device, makes a list of logits ``[num_classes, H, W]`` of a list of images ``[3, H, W]``. It sees
    them with a shorter side of ``image_size`` pixels, None for their own; maps have the images' own size.

    Raises:
        ValueError: ``batch`` is below 1.
    """
    model.eval()
    resize = ResizeImage(image_size)
    for chunk in read_batches(files, batch, partial(_read, image_size)):
        readable = [image for _, image in chunk if not isinstance(image, str)]
        sizes = [image.shape[1:] for image in readable]
        guesses = iter(guess_classes(model, [resize(image) for image in readable], sizes, device))
        for path, image in chunk:
            if isinstance(image, str):
                yield ClassMap(path, None, None, image)
            else:
                yield ClassMap(path, image, next(guesses).to("cpu", torch.uint8))


def _read(image_size: int | None, path: Path) -> Tensor:
    image = read_image(path)
    if image_size is not None:
        check_resized(image.shape[:-3:-1], image_size)  # before others of its batch are resized
    return image


def palette(classes: int) -> list[tuple[int, int, int]]:
    """Return Pascal VOC's colors: bit 3i of the class is bit 7 − i of red, 3i + 1 of green and 3i + 2 of blue."""

    def value(number: int) -> int:
        return sum((number >> 3 * place & 1) << (7 - place) for place in range(3))

    return [(value(number), value(number >> 1), value(number >> 2)) for number in range(classes)]


def draw_map(classes: Tensor) -> Image.Image:
    """Return a class map as an image whose pixels are class numbers, shown in the colors of :func:`palette`."""
    drawn = Image.fromarray(np.asarray(classes))
    drawn.putpalette([value for color in palette(256) for value in color])
    return drawn


def draw_overlay(image: Tensor, classes: Tensor, names: Sequence[str], alpha: float = 0.6) -> Image.Image:
    """Return an image ``[3, H, W]`` with its class map laid over it; a class called ``background`` stays clear."""
    shown = [number for number in classes.unique().tolist() if names[number] != BACKGROUND]
    colors = palette(len(names))
    if shown:
        masks = torch.stack([classes == number for number in shown])
        image = draw_segmentation_masks(image, masks, alpha, [colors[number] for number in shown])
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def write_maps(found: Iterable[ClassMap], classes: Sequence[str], out: Path, seen: Seen) -> str:
    """Write the class map of every image, and the image with the map laid over it, as PNG; return so in words.

    ``seen`` is told which classes every file shows.
    """
    for folder in ("maps", "overlays"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for one in found:
        if one.image is not None and one.classes is not None:
            pictures = {"maps": draw_map(one.classes), "overlays": draw_overlay(one.image, one.classes, classes)}
            for folder, picture in pictures.items():
                write_whole(out / folder / f"{one.path.stem}.png", partial(picture.save, format="png"))
        seen(one.path, _shares(one, classes))
    colors = ("#{:02x}{:02x}{:02x}".format(*color) for color in palette(len(classes)))
    rows = zip(range(len(classes)), classes, colors, strict=True)
    write_csv(out / "classes.csv", [("number", "class", "color"), *rows])
    return f"Written to {out}: class numbers in maps, pictures in overlays, and classes.csv with names and colors."


def _shares(found: ClassMap, classes: Sequence[str]) -> str:
    """Return which classes an image shows, the largest first."""
    if found.classes is None:
        return f"does not decode: {found.error}"
    numbers, counts = found.classes.unique(return_counts=True)
    parts = sorted(zip(counts.tolist(), numbers.tolist(), strict=True), reverse=True)
    return ", ".join(f"{classes[number]} {100 * count / found.classes.numel():.1f} %" for count, number in parts)
