"""Finding objects in image files: COCO's result format, and pictures."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.font_manager import findfont
from pycocotools import mask as rle
from torch import Tensor
from torchvision.io import encode_png, write_file
from torchvision.transforms.v2.functional import pil_to_tensor
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

from vig_pyg.data.coco import to_boxes
from vig_pyg.data.images import max_pixels, read_batches, read_image
from vig_pyg.files import write_text, write_whole
from vig_pyg.models.detectors import Detector
from vig_pyg.tasks.average_precision import on_cpu
from vig_pyg.tasks.results import Device, Seen

PICTURE_SIDE = 480  # pixels of a picture's shorter side, at least, so that names can be read


class Prediction(NamedTuple):
    """The objects that were found in a file, and its image ``[3, H, W]`` of bytes; or why it could not be read.

    Objects are ``boxes [N, 4]`` (left, top, right, bottom), ``labels [N]``, ``scores [N]``, the best first, and with
    Mask R-CNN ``masks [N, H, W]``.
    """

    path: Path
    objects: dict[str, Tensor]
    image: Tensor
    error: str | None = None


@torch.no_grad()
def predict(model: Detector, files: Iterable[Path], *, batch: int = 8, device: Device = "cpu") -> Iterator[Prediction]:
    """Yield what a detector on the device finds in every file, in their order, holding one batch in memory.

    Raises:
        ValueError: ``batch`` is below 1.
    """
    model.eval()
    for chunk in read_batches(files, batch, partial(_read, model)):
        readable = [image.to(device) / 255 for _, image in chunk if isinstance(image, Tensor)]
        found = iter(model(readable) if readable else [])
        for path, image in chunk:
            if isinstance(image, Tensor):
                yield Prediction(path, on_cpu(next(found)), image)
            else:
                yield Prediction(path, {}, torch.empty(3, 0, 0), image)


def _read(model: Detector, path: Path) -> Tensor:
    image = pil_to_tensor(read_image(path))
    model.check_size(image.shape[1:])
    return image


def coco_results(prediction: Prediction, image_id: int, categories: list[int]) -> list[dict[str, Any]]:
    """Return the objects in an image in COCO's result format, which its tools take; masks are run-length encoded.

    ``image_id`` is the image's number, ``categories`` has COCO's number of every class.
    """
    objects = prediction.objects
    if not objects:
        return []
    results: list[dict[str, Any]] = [
        {"image_id": image_id, "category_id": categories[label], "bbox": box.tolist(), "score": score.item()}
        for label, box, score in zip(objects["labels"], to_boxes(objects["boxes"]), objects["scores"], strict=True)
    ]
    for result, mask in zip(results, objects.get("masks", ()), strict=False):
        encoded = rle.encode(np.asfortranarray(mask.numpy(), dtype=np.uint8))
        result["segmentation"] = {"size": encoded["size"], "counts": encoded["counts"].decode()}
    return results


def draw(prediction: Prediction, classes: list[str], score: float = 0.5) -> Tensor:
    """Return a picture ``[3, H, W]`` with the boxes, masks, names and scores of what was found; small images enlarged.

    Only objects of at least ``score`` are drawn.
    """
    image, objects = prediction.image, prediction.objects
    kept = objects["scores"] >= score
    height, width = image.shape[1:]
    scale = max(1, min(-(-PICTURE_SIDE // min(height, width)), math.isqrt(max_pixels() // (height * width))))
    picture = F.interpolate(image[None].float(), scale_factor=scale, mode="bilinear")[0].round().byte()
    if not kept.any():
        return picture
    labels = objects["labels"][kept].tolist()
    colors = [tuple(int(255 * c) for c in colormaps["tab20"](label % 20)[:3]) for label in labels]
    if "masks" in objects:
        masks = objects["masks"][kept]
        masks = masks & (masks.cumsum(0) == 1)  # a pixel shows the best of its objects; torchvision would blacken it
        masks = F.interpolate(masks[None].float(), scale_factor=scale)[0].bool()
        picture = draw_segmentation_masks(picture, masks, alpha=0.5, colors=colors)
    names = [f" {classes[label]} {100 * s:.0f} " for label, s in zip(labels, objects["scores"][kept], strict=True)]
    return draw_bounding_boxes(
        picture,
        objects["boxes"][kept] * scale,
        names,
        colors=colors,
        width=3,
        font=findfont("DejaVu Sans"),
        font_size=16,
        label_colors="white",
        label_background_colors=colors,
        fill_labels=True,
    )


def write_predictions(
    found: Iterable[Prediction],
    files: Sequence[Path],
    categories: Mapping[int, str],
    out: Path,
    score: float,
    seen: Seen,
) -> str:
    """Write what is found in COCO's result format, and a picture of each image; return what was written, in words.

    Files are numbered by their names where all of these are numbers, as COCO's are, else by their place. Only objects
    of at least ``score`` are drawn and told. ``categories`` has the names of the classes by COCO's numbers.

    Raises:
        ValueError: ``score`` is no share.
    """
    if not 0 <= score <= 1:
        raise ValueError(f"--score must be between 0 and 1, got {score}")
    by_name = all(path.stem.isdecimal() for path in files) and len({int(path.stem) for path in files}) == len(files)
    out.mkdir(parents=True, exist_ok=True)
    names, numbers = list(categories.values()), list(categories)
    results: list[dict[str, Any]] = []
    pictures = 0
    for place, prediction in enumerate(found, start=1):
        path = prediction.path
        seen(path, _in_words(prediction, names, score))
        if prediction.error is None:
            image_id = int(path.stem) if by_name else place
            results += [{**result, "file_name": path.name} for result in coco_results(prediction, image_id, numbers)]
            picture = encode_png(draw(prediction, names, score))
            write_whole(out / f"{path.stem}.png", partial(write_file, data=picture))
            pictures += 1
    write_text(out / "detections.json", json.dumps(results) + "\n")
    return f"{len(results):,} objects. Written to {out}: detections.json, and {pictures:,} pictures."


def _in_words(prediction: Prediction, names: Sequence[str], score: float) -> str:
    """Return how many objects of each class have at least a score."""
    if prediction.error is not None:
        return f"does not decode: {prediction.error}"
    kept = prediction.objects["labels"][prediction.objects["scores"] >= score]
    counts = Counter(names[label] for label in kept.tolist())
    return ", ".join(f"{count} × {name}" for name, count in counts.most_common()) or "nothing"
