"""Class maps of files, and their pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from vig_pyg.tasks.segment import draw_map, draw_overlay, palette, segment


class Reds(nn.Module):
    """Takes what is red for class 1 of three."""

    def forward(self, images: list[Tensor]) -> list[Tensor]:
        return [torch.stack([torch.full_like(i[0], 0.5), i[0], torch.zeros_like(i[0])]) for i in images]


def write(folder: Path, name: str, size: tuple[int, int]) -> Path:
    """Write an image whose left half is red."""
    image = Image.new("RGB", size)
    image.paste((255, 0, 0), (0, 0, size[0] // 2, size[1]))
    image.save(folder / name)
    return folder / name


@pytest.mark.parametrize("image_size", [None, 8])
def test_a_map_has_the_size_of_its_image(tmp_path, image_size):
    sizes = [(32, 16), (16, 24), (64, 16)]
    files = [write(tmp_path, f"{number}.png", size) for number, size in enumerate(sizes)]
    (tmp_path / "broken.png").write_bytes(b"nothing")
    found = list(segment(Reds(), [files[0], tmp_path / "broken.png", *files[1:]], image_size=image_size, batch=2))
    assert found[1].classes is None and "broken.png is no image that can be read" in found[1].error
    for (width, height), one in zip(sizes, [found[0], *found[2:]], strict=True):
        wanted = torch.zeros(height, width, dtype=torch.uint8)
        wanted[:, : width // 2] = 1
        assert one.classes.shape == wanted.shape and (one.classes != wanted).float().mean() < 0.1
        assert image_size or torch.equal(one.classes, wanted)


def test_the_palette_is_pascal_vocs():
    # The first colors of the VOC development kit: background, aeroplane, bicycle, …; and that of 255.
    known = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128)]
    assert palette(7) == known and palette(256)[8] == (64, 0, 0) and palette(256)[255] == (224, 224, 192)


def test_a_map_is_written_as_class_numbers_in_colors(tmp_path):
    classes = torch.tensor([[0, 1, 20], [255, 7, 1]], dtype=torch.uint8)
    draw_map(classes).save(tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as image:
        np.testing.assert_array_equal(np.array(image), classes)
        colors = torch.tensor(palette(256), dtype=torch.uint8)[classes.long()]
        np.testing.assert_array_equal(np.array(image.convert("RGB")), colors)


def test_an_overlay_leaves_the_background_clear():
    image, classes = torch.full((3, 4, 4), 100, dtype=torch.uint8), torch.zeros(4, 4, dtype=torch.uint8)
    classes[:2] = 1
    drawn = np.array(draw_overlay(image, classes, ["background", "cat"], alpha=0.5))
    assert (drawn[2:] == 100).all() and (drawn[:2] == (114, 50, 50)).all()
    assert (np.array(draw_overlay(image, classes, ["sky", "cat"], alpha=0.5))[2:] == 50).all()
    assert (np.array(draw_overlay(image, torch.zeros_like(classes), ["background"])) == 100).all()


def test_a_batch_below_one_is_refused():
    with pytest.raises(ValueError, match="batch must be at least 1, got 0"):
        next(segment(Reds(), [], batch=0))
