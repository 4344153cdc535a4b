"""Folders of real images: crops of scikit-learn's two photographs."""

from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_sample_images


def write_images(folder: Path, count: int, size: int = 48) -> None:
    """Write crops of a photograph per class: ``flower`` and ``temple``."""
    for name, photograph in zip(("temple", "flower"), load_sample_images().images, strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            top, left = 17 * number % 300, 29 * number % 500
            crop = photograph[top : top + size, left : left + size]
            Image.fromarray(crop).save(folder / name / f"{number:03d}.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two classes of ten images each."""
    write_images(tmp_path / "images", 10)
    return tmp_path / "images"
