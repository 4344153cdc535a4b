"""Masks stay with what they were drawn on, and wrong ones are named before anything is trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torchvision import tv_tensors

from vig_pyg.data.masks import (
    IGNORE_INDEX,
    Masks,
    Pair,
    ResizeImage,
    check_masks,
    crop_transform,
    load_segmentation_data,
)
from vig_pyg.data.samplers import Draw


def draw(size: tuple[int, int] = (90, 60), seed: int = 0) -> tuple[Image.Image, Image.Image]:
    """Return a red image with a blue ellipse and a green box, and its class numbers 1, 3 and 2."""
    random = np.random.default_rng(seed)
    image, mask = Image.new("RGB", size, (255, 0, 0)), Image.new("L", size, 1)
    for drawn, colors in ((ImageDraw.Draw(image), ((0, 0, 255), (0, 255, 0))), (ImageDraw.Draw(mask), (3, 2))):
        random = np.random.default_rng(seed)
        for shape, color in zip((drawn.ellipse, drawn.rectangle), colors, strict=True):
            left, top = (int(random.integers(side // 2)) for side in size)
            shape((left, top, left + size[0] // 2, top + size[1] // 2), fill=color)
    return image, mask


def write(folder: Path, name: str, image: Image.Image, mask: Image.Image) -> Pair:
    pair = Pair(folder / "images" / f"{name}.png", folder / "masks" / f"{name}.png")
    for path, picture in zip(pair, (image, mask), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    return pair


def colors_of(mask: torch.Tensor) -> torch.Tensor:
    """Return what the image of a mask must show."""
    table = torch.zeros(256, 3)
    table[1], table[2], table[3] = torch.eye(3)
    return table[mask].permute(2, 0, 1)


@pytest.mark.parametrize("crop_scale", [0.25, 1.0])
@pytest.mark.parametrize("size", [32, 64, 96])
def test_masks_follow_their_images_through_every_transform(crop_scale, size, tmp_path):
    pairs = [write(tmp_path, str(number), *draw(seed=number)) for number in range(4)]
    data = Masks(pairs, crop_transform(size, crop_scale, 0.5), stack=True)
    batch = data.__getitems__([Draw(number % 4, seed) for number, seed in enumerate(range(40))])
    assert batch.images.shape == (40, 3, size, size) and batch.masks.shape == (40, size, size)
    for image, mask in zip(batch.images, batch.masks, strict=True):
        wrong = (image - colors_of(mask)).abs().amax(0) > 0.5
        # Images are resized smoothly, masks are not: they may differ next to where two classes meet.
        window = mask.unfold(0, 5, 1).unfold(1, 5, 1)
        inside = window.amax((2, 3)) == window.amin((2, 3))
        assert inside.any() and not wrong[2:-2, 2:-2][inside].any()


def test_a_flip_turns_both(tmp_path):
    image, mask = draw((64, 64), seed=1)
    data = Masks([write(tmp_path, "one", image, mask)], crop_transform(64, 1.0, 1.0), stack=True)
    batch = data.__getitems__([Draw(0, 0)])
    np.testing.assert_array_equal(batch.masks[0], np.array(mask)[:, ::-1])
    np.testing.assert_array_equal(batch.images[0], np.array(image).transpose(2, 0, 1)[:, :, ::-1] / 255)


def test_what_lies_beyond_an_image_counts_for_nothing(tmp_path):
    data = Masks([write(tmp_path, "long", *draw((200, 20)))], crop_transform(64, 0.25, 0.0), stack=True)
    batch = data.__getitems__([Draw(0, seed) for seed in range(20)])
    beyond = batch.masks == IGNORE_INDEX
    assert beyond.any() and (batch.images.permute(0, 2, 3, 1)[beyond] == 0).all()


def test_a_draw_follows_from_its_seed(tmp_path):
    data = Masks([write(tmp_path, "one", *draw())], crop_transform(32, 0.25, 0.5), stack=True)
    one, again, other = (data.__getitems__([Draw(0, seed)]) for seed in (7, 7, 8))
    assert torch.equal(one.images, again.images) and torch.equal(one.masks, again.masks)
    assert not torch.equal(one.images, other.images)


def test_a_held_out_image_is_resized_and_its_mask_stays(tmp_path):
    data = Masks([write(tmp_path, "one", *draw((90, 60)))], ResizeImage(30), stack=False)
    batch = data.__getitems__([Draw(0, None), Draw(-1, None)])
    assert [image.shape for image in batch.images] == [(3, 30, 45)]
    np.testing.assert_array_equal(batch.masks[0], np.array(draw((90, 60))[1]))


def test_an_image_that_does_not_decode_is_replaced_in_training_only(tmp_path):
    pairs = [write(tmp_path, str(number), *draw(seed=number)) for number in range(2)]
    pairs[0].image.write_bytes(pairs[0].image.read_bytes()[:60])
    training = Masks(pairs, crop_transform(32, 1.0, 0.0), stack=True).__getitems__([Draw(0, 0), Draw(1, 0)])
    assert len(training.images) == 2 and training.broken == [str(pairs[0].image)]
    test = Masks(pairs, ResizeImage(None), stack=False).__getitems__([Draw(0, None), Draw(1, None)])
    assert len(test.images) == len(test.masks) == 1 and test.broken == [str(pairs[0].image)]


def test_resizing_is_a_transform_of_pairs():
    image, mask = tv_tensors.Image(torch.zeros(3, 8, 12, dtype=torch.uint8)), tv_tensors.Mask(torch.zeros(8, 12))
    resized, kept = ResizeImage(4)(image, mask)
    assert resized.shape == (3, 4, 6) and kept is mask


# Layouts ##############################################################################################


def test_a_folder_of_images_and_masks(tmp_path):
    for part, count in (("train", 3), ("val", 2)):
        for number in range(count):
            image, mask = draw(seed=number)
            for name, picture in (("images", image), ("masks", mask)):
                (tmp_path / name / part / "deep").mkdir(parents=True, exist_ok=True)
                suffix = "jpg" if name == "images" else "png"
                picture.save(tmp_path / name / part / "deep" / f"{number}.{suffix}")
    data = load_segmentation_data(str(tmp_path))
    assert (len(data.train), len(data.test), data.classes) == (3, 2, ["0", "1", "2", "3"])
    assert data.test[1] == (tmp_path / "images/val/deep/1.jpg", tmp_path / "masks/val/deep/1.png")
    assert load_segmentation_data(str(tmp_path), classes=7).classes == list("0123456")
    (tmp_path / "classes.txt").write_text("sky\nroad\nhouse\ntree\n")
    assert load_segmentation_data(str(tmp_path)).classes == ["sky", "road", "house", "tree"]


def test_a_fifth_is_held_out_where_nothing_says_what(tmp_path):
    for number in range(10):
        write(tmp_path, str(number), *draw(seed=number))
    data = load_segmentation_data(str(tmp_path))
    assert (len(data.train), len(data.test)) == (8, 2) and not set(data.train) & set(data.test)
    assert data == load_segmentation_data(str(tmp_path))


def test_pascal_vocs_layout(tmp_path):
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    for part, names in (("train", ["a", "b"]), ("val", ["c"])):
        (tmp_path / "ImageSets" / "Segmentation" / f"{part}.txt").write_text("\n".join(names) + "\n")
        for name in names:
            image, mask = draw()
            mask.putpalette([value for color in range(256) for value in (color, 0, 0)])
            for folder, picture, suffix in (("JPEGImages", image, "jpg"), ("SegmentationClass", mask, "png")):
                (tmp_path / folder).mkdir(exist_ok=True)
                picture.save(tmp_path / folder / f"{name}.{suffix}")
    data = load_segmentation_data(str(tmp_path))
    assert [pair.image.stem for pair in data.train] == ["a", "b"] and data.test[0].mask.name == "c.png"
    assert len(data.classes) == 21 and data.classes[20] == "tvmonitor"
    assert Masks(data.test, ResizeImage(None), False).draw(0, None)[0][1].unique().tolist() == [1, 2, 3]
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no .*val\.txt, which should name the images of val"):
        load_segmentation_data(str(tmp_path))


def test_names_that_are_no_text_are_refused(tmp_path):
    for number in range(3):
        write(tmp_path, str(number), *draw(seed=number))
    (tmp_path / "classes.txt").write_bytes(b"sky\n\xff\xfe")
    with pytest.raises(ValueError, match=r"classes.txt holds no text in UTF-8"):
        load_segmentation_data(str(tmp_path))


def test_masks_and_images_are_upright(tmp_path):
    image, mask = draw((90, 60))
    exif = Image.Exif()
    exif[0x0112] = 6  # both are stored on their side
    pair = write(tmp_path, "one", image, mask)
    image.rotate(90, expand=True).save(pair.image, exif=exif)
    assert check_masks([pair]) == 3
    mask.rotate(90, expand=True).save(pair.mask, exif=exif)
    assert check_masks([pair]) == 3
    found, numbers = Masks([pair], ResizeImage(None), stack=False).draw(0, None)[0]
    np.testing.assert_array_equal(numbers, np.array(mask))
    np.testing.assert_array_equal(found.mul(255).round().byte().permute(1, 2, 0), np.array(image))
    mask.rotate(90, expand=True).save(pair.mask)
    with pytest.raises(ValueError, match="have different sizes, 60×90 and 90×60 pixels"):
        check_masks([pair])


# Wrong inputs #########################################################################################


def test_what_is_wrong_with_a_pair_is_said_in_one_sentence(tmp_path):
    image, mask = draw()
    pair = write(tmp_path, "one", image, mask)
    assert check_masks([pair]) == 3
    with pytest.raises(ValueError, match=r"one\.png has class number 3, but the 3 classes are 0 to 2"):
        check_masks([pair], classes=3)
    mask.putpixel((0, 0), IGNORE_INDEX)
    assert check_masks([write(tmp_path, "some", image, mask)], classes=4) == 3
    with pytest.raises(ValueError, match=r"masks/small\.png and its image have different sizes, 45×60 and 90×60"):
        check_masks([write(tmp_path, "small", image, mask.resize((45, 60)))])
    with pytest.raises(ValueError, match=r"masks/rgb\.png has colors or more than 8 bits \(RGB\)"):
        check_masks([write(tmp_path, "rgb", image, image)])
    pair.mask.write_bytes(pair.mask.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"the mask .*one\.png does not decode"):
        check_masks([pair])
    pair.mask.unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no .*masks/one\.png, which belongs to .*images/one\.png"):
        check_masks([pair])


def test_what_is_wrong_with_a_folder_is_said_in_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        load_segmentation_data(str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="holds neither images and masks nor"):
        load_segmentation_data(str(tmp_path))
    (tmp_path / "images" / "train").mkdir(parents=True)
    (tmp_path / "masks").mkdir()
    with pytest.raises(FileNotFoundError, match=r"there is no image in .*images/train"):
        load_segmentation_data(str(tmp_path))
