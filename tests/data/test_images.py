"""Image files come upright with 8 bits a channel, and what is wrong with one is said in a sentence at every door."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from tests.data.broken import BROKEN, LONG, long
from vig_pyg.commands.visualize import read_input as read_for_graphs
from vig_pyg.data.decoded import Images
from vig_pyg.data.images import LIMIT, MAX_PIXELS, limit_pixels, max_pixels, open_image, read_image, size_of
from vig_pyg.data.labeled import Files
from vig_pyg.data.masks import Masks, Pair, ResizeImage, check_masks, crop_transform
from vig_pyg.data.samplers import Draw
from vig_pyg.data.transforms import inference_transform
from vig_pyg.detection import predict as detect
from vig_pyg.detection import retinanet
from vig_pyg.segmentation import segment
from vig_pyg.tasks.classify import predict

GRADIENT = np.arange(6 * 9, dtype=np.uint16).reshape(6, 9) * 1200


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the limit of pixels, Pillow's too."""
    monkeypatch.setenv(LIMIT, str(MAX_PIXELS))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)


# What is read ##########################################################################################


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bits_become_8(suffix: str, tmp_path: Path) -> None:
    Image.fromarray(GRADIENT).save(path := tmp_path / f"image.{suffix}")
    np.testing.assert_array_equal(np.array(read_image(path, "L")), GRADIENT // 256)
    np.testing.assert_array_equal(np.array(read_image(path))[..., 2], GRADIENT // 256)


def test_16_bits_look_as_their_8_bits_do(tmp_path: Path) -> None:
    eight = np.random.default_rng(0).integers(256, size=(9, 7), dtype=np.uint8)
    for factor in (256, 257):  # the two ways of widening
        Image.fromarray(eight.astype(np.uint16) * factor).save(tmp_path / "image.png")
        np.testing.assert_array_equal(np.array(read_image(tmp_path / "image.png", "L")), eight)


def test_32_bits_hold_16_or_are_refused(tmp_path: Path) -> None:
    Image.fromarray(GRADIENT.astype(np.int32)).save(path := tmp_path / "image.tiff")
    np.testing.assert_array_equal(np.array(read_image(path, "L")), GRADIENT // 256)
    Image.fromarray(GRADIENT.astype(np.int32) * 2).save(path)
    with pytest.raises(
        ValueError, match=r"image.tiff holds values from 0 to 127200, but they must be from 0 to 65,535"
    ):
        read_image(path)


def test_floating_point_numbers_are_from_0_to_1(tmp_path: Path) -> None:
    Image.fromarray((GRADIENT / GRADIENT.max()).astype(np.float32)).save(path := tmp_path / "image.tiff")
    np.testing.assert_array_equal(np.array(read_image(path, "L")), np.round(GRADIENT / GRADIENT.max() * 255))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
def test_images_are_upright(suffix: str, orientation: int, tmp_path: Path) -> None:
    path = tmp_path / f"image.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray((GRADIENT // 256).astype(np.uint8)).convert("RGB").save(path, exif=exif, quality=95)
    with Image.open(path) as image:
        image.load()
        expected = ImageOps.exif_transpose(image)
    found = read_image(path)
    np.testing.assert_array_equal(np.array(found), np.array(expected))
    assert found.size == size_of(path) == ((9, 6) if orientation < 5 else (6, 9))
    numbers = np.array(open_image(path).convert("RGB"))
    np.testing.assert_array_equal(numbers, np.array(expected))


def test_damaged_exif_says_nothing(tmp_path: Path) -> None:
    Image.new("RGB", (9, 6)).save(path := tmp_path / "image.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_image(path).size == size_of(path) == (9, 6)


def test_the_limit_of_pixels_is_anyones(tmp_path: Path) -> None:
    Image.new("L", (30, 20)).save(path := tmp_path / "image.png")
    limit_pixels(600)
    assert read_image(path).size == (30, 20) and max_pixels() == 600
    limit_pixels(599)
    for read in (read_image, size_of):
        with pytest.raises(ValueError, match=r"image.png has 30×20 = 600 pixels, more than the limit of 599"):
            read(path)
    with pytest.raises(ValueError, match="max_pixels must be at least 1, got 0"):
        limit_pixels(0)


def test_a_higher_limit_is_pillows_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (30, 20)).save(path := tmp_path / "image.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_image(path).size == (30, 20)
    monkeypatch.setenv(LIMIT, "many")
    with pytest.raises(ValueError, match=f"{LIMIT} must be a whole number of at least 1, got 'many'"):
        read_image(path)


# Every door ############################################################################################


class Reds(nn.Module):
    """Takes images for maps of three classes."""

    def forward(self, images: list[Tensor]) -> list[Tensor]:
        return images


def classify(path: Path) -> str:
    model = timm.create_model("vig_micro", num_classes=2)
    (found,) = predict(model, ["a", "b"], [path], inference_transform(model))
    return str(found.error)


def graphs(path: Path) -> str:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        read_for_graphs(path, timm.create_model("vig_micro"), None)
    return str(caught.value)


def objects(path: Path) -> str:
    model = retinanet("pvig_micro", 2, channels=32, max_size=1333)
    (found,) = detect(model, [path])
    return str(found.error)


def segments(path: Path) -> str:
    (found,) = segment(Reds(), [path], image_size=224)
    return str(found.error)


def held_out(path: Path) -> str:
    images = Images(Files([(str(path), 0)]), inference_transform(timm.create_model("vig_micro")))
    batch = images.__getitems__([Draw(0, None)])
    assert batch.images.shape == (1, 3, 32, 32) and batch.labels.tolist() == [-1] and batch.broken == [str(path)]
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        images.prepare(images.source[0])
    return f"{batch.broken[0]}: {caught.value}"


def trained(path: Path) -> str:
    images = Images(Files([(str(path), 0)]), inference_transform(timm.create_model("vig_micro")))
    with pytest.raises(ValueError, match="20 images in a row do not decode") as caught:
        images.__getitems__([Draw(0, 1)])
    return str(caught.value)


def masked(path: Path) -> str:
    Image.new("L", LONG).save(mask := path.parent / "mask.png")
    with pytest.raises(ValueError, match="20 images in a row do not decode") as caught:
        Masks([Pair(path, mask)], crop_transform(224, 1.0, 0.5), stack=True).__getitems__([Draw(0, 1)])
    assert Masks([Pair(path, mask)], ResizeImage(224), stack=False).__getitems__([Draw(0, None)]).broken == [str(path)]
    return str(caught.value)


def mask(path: Path) -> str:
    Image.new("RGB", (48, 48)).save(image := path.parent / "image.png")
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        check_masks([Pair(image, path)])
    return str(caught.value)


DOORS: list[Callable[[Path], str]] = [classify, graphs, objects, segments, held_out, trained, masked, mask]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_with_a_file_is_one_sentence_at_every_door(
    kind: str, door: Callable[[Path], str], tmp_path: Path
) -> None:
    write, sentence = BROKEN[kind]
    write(path := tmp_path / "broken.png")
    if door is mask:  # of a mask, more is refused: that it is none, or that there is no such file
        sentence += "|there is no .*broken.png|has colors or more than 8 bits"
    found = door(path)
    assert re.search(sentence, found) and "broken.png" in found and "\n" not in found


@pytest.mark.parametrize("door", [door for door in DOORS if door is not mask])
def test_what_would_be_resized_to_billions_of_pixels_is_refused(door: Callable[[Path], str], tmp_path: Path) -> None:
    long(path := tmp_path / "long.png")
    said = r"400,000×2 pixels would be resized to [\d,]{9,10}×\d+ = [\d,]+ pixels, more than the limit of 178,956,970"
    assert re.search("400000×2 pixels is too long to be resized" if door is objects else said, found := door(path))
    assert "\n" not in found


def test_a_long_image_can_be_cropped_and_trained_on(tmp_path: Path) -> None:
    long(tmp_path / "long.png")
    Image.new("RGB", (50, 40)).save(tmp_path / "image.png")
    model = timm.create_model("vig_micro", num_classes=2)
    limit_pixels(2000)
    (found,) = predict(model, ["a", "b"], [tmp_path / "image.png"], inference_transform(model))
    assert found.error is None  # 40×32 pixels once resized
    limit_pixels(1000)
    (found,) = predict(model, ["a", "b"], [tmp_path / "image.png"], inference_transform(model))
    assert "has 50×40 = 2,000 pixels, more than the limit of 1,000" in str(found.error)


def test_orientation_does_not_change_what_is_predicted(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("vig_micro", num_classes=2)
    noise = np.random.default_rng(0).integers(256, size=(32, 32, 3), dtype=np.uint8)
    files = []
    for orientation, turned in ((1, noise), (6, np.rot90(noise)), (3, noise[::-1, ::-1])):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files.append(tmp_path / f"{orientation}.png")
        Image.fromarray(np.ascontiguousarray(turned)).save(files[-1], exif=exif)
    found = [one.guesses for one in predict(model, ["a", "b"], files, inference_transform(model))]
    assert found[0] == found[1] == found[2]
    images = Images(Files([(str(file), 0) for file in files]), inference_transform(model))
    first, *others = images.__getitems__([Draw(number, None) for number in range(3)]).images
    assert all(torch.equal(other, first) for other in others)  # each is turned once
