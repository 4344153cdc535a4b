"""Data in COCO's layout, small and made by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vig_pyg.data.scenes import annotation

SIZE = 40, 60  # height and width


def example() -> dict[str, Any]:
    """Return annotations of two images with three objects and one crowd, and of one image with none."""
    square, half = np.zeros(SIZE, dtype=bool), np.zeros(SIZE, dtype=bool)
    square[10:20, 30:50], half[:, :30] = True, True
    triangle = {
        "category_id": 7,
        "bbox": [5, 5, 20, 20],
        "area": 200,
        "iscrowd": 0,
        "segmentation": [[5, 5, 25, 5, 5, 25]],
    }
    entries = [
        (1, annotation(square, 3)),
        (1, triangle),
        (2, annotation(half, 7)),
        (2, {**annotation(half, 3), "iscrowd": 1}),
    ]
    return {
        "images": [{"id": i, "file_name": f"{i:03d}.png", "height": SIZE[0], "width": SIZE[1]} for i in (1, 2, 3)],
        "categories": [{"id": 7, "name": "wedge"}, {"id": 3, "name": "block"}],
        "annotations": [{"id": i, "image_id": image, **entry} for i, (image, entry) in enumerate(entries, start=1)],
    }


@pytest.fixture
def coco_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes a data set in COCO's layout, with the annotations to train on changed by a function."""

    def write(change: Callable[[dict[str, Any]], object] = lambda _: None) -> Path:
        folder = tmp_path / "coco"
        for part in ("train2017", "val2017"):
            (folder / part).mkdir(parents=True)
            content = example()
            for image in content["images"]:
                noise = np.random.default_rng(image["id"]).integers(256, size=(*SIZE, 3), dtype=np.uint8)
                Image.fromarray(noise).save(folder / part / image["file_name"])
            if part == "train2017":
                change(content)
            (folder / "annotations").mkdir(exist_ok=True)
            (folder / "annotations" / f"instances_{part}.json").write_text(json.dumps(content))
        return folder

    return write
