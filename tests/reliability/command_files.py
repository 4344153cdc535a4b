"""The files that the cases of :mod:`tests.reliability.command_line` are about, sound and otherwise."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from tests.data.written_coco import SIZE, example
from tests.reliability.command_runs import write_recipes, write_runs, write_weights

Annotations = dict[str, Any]


def noise(seed: int = 0, size: tuple[int, int] = SIZE, channels: int = 3) -> Image.Image:
    """Return an image that is always the same."""
    shape = (*size, channels) if channels > 1 else size
    return Image.fromarray(np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8))


def white(path: Path, width: int, height: int) -> None:
    """Write a PNG of any size in black and white; nearly nothing on the disk."""
    row = b"\0" + b"\xff" * ((width + 7) // 8)
    packer = zlib.compressobj()
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    parts = (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)), (b"IDAT", packed), (b"IEND", b"")
    chunks = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in parts)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def write_images() -> None:
    """Write image files of every kind."""
    image = noise()
    image.save("image.png")
    image.save("image.jpg")
    image.save("lossless.webp")
    for mode in ("L", "LA", "RGBA", "P", "1"):
        image.convert(mode).save(f"mode_{mode}.png")
    image.convert("CMYK").save("mode_CMYK.jpg")
    Image.fromarray(np.asarray(image.convert("L"), dtype=np.uint16) * 257).save("mode_I16.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    image.save("turned.jpg", exif=turned)
    image.save("moving.gif", save_all=True, append_images=[ImageOps.mirror(image)])
    for name in ("[/x].png", "[red]y[/].png", "ünï 字 😀.png", "-dash.png", "a" * 250 + ".png", "two\nlines.png"):
        Path(name).parent.mkdir(exist_ok=True)
        image.save(name)
    noise(size=(1, 1)).save("dot.png")
    Path("empty.png").touch()
    Path("text.png").write_text("no image")
    for kind in ("png", "jpg"):
        content = Path(f"image.{kind}").read_bytes()
        Path(f"cut.{kind}").write_bytes(content[: len(content) // 2])
    Image.fromarray(np.full(SIZE, np.nan, dtype=np.float32)).save("nan.tif")
    white(Path("bomb.png"), 60000, 60000)
    white(Path("wide.png"), 200000, 2)
    os.mkfifo("fifo.png")
    Path("zero.png").symlink_to("/dev/zero")
    Path("loop.png").symlink_to("loop.png")
    Path("dangling.png").symlink_to("nowhere.png")
    Path("folder.png").mkdir()


def class_folder(name: str, classes: tuple[str, ...] = ("a", "b"), count: int = 6) -> Path:
    """Write a folder with a folder of images per class."""
    for number, kind in enumerate(classes):
        Path(name, kind).mkdir(parents=True)
        for index in range(count):
            noise(100 * number + index).save(Path(name, kind, f"{index}.png"))
    return Path(name)


def write_folders() -> None:
    """Write folders of images to classify, and what is none."""
    class_folder("photos")
    class_folder("one_class", ("a",))
    class_folder("markup", ("[red]x", "[link=y]"))
    class_folder("[/x]")
    class_folder("unicode", ("ünï 字", "😀"))
    class_folder("one_each", count=1)
    class_folder("differing/train")
    class_folder("differing/val", ("a", "c"))
    Path("empty").mkdir()
    Path("no_images/a").mkdir(parents=True)
    Path("no_images/a/readme.txt").write_text("nothing")
    Path("file").write_text("a file")
    (class_folder("circle") / "b" / "again").symlink_to("..")
    for name in ("bomb", "wide", "fifo", "zero", "loop", "dangling", "empty", "cut"):
        folder = class_folder(f"with_{name}")
        (folder / "b" / f"9{name}.png").symlink_to(Path(f"{name}.png").absolute())
    for file in class_folder("all_broken").rglob("*.png"):
        file.write_bytes(b"no image")


def _first(part: str, **changes: Any) -> Callable[[Annotations], object]:
    return lambda content: content[part][0].update(changes)


def _without(part: str, key: str) -> Callable[[Annotations], object]:
    return lambda content: content[part][0].pop(key)


def _mask(mask: Any) -> Callable[[Annotations], object]:
    return _first("annotations", segmentation=mask)


COCO: dict[str, Callable[[Annotations], object]] = {
    **{f"no_{part}": lambda content, part=part: content.pop(part) for part in ("images", "categories", "annotations")},
    **{f"null_{part}": lambda content, part=part: content.update({part: None}) for part in ("images", "annotations")},
    **{f"image_no_{key}": _without("images", key) for key in ("id", "file_name", "height", "width")},
    **{f"box_no_{key}": _without("annotations", key) for key in ("image_id", "category_id", "bbox", "segmentation")},
    "category_no_name": _without("categories", "name"),
    "category_no_id": _without("categories", "id"),
    "image_absent": _first("images", file_name="absent.png"),
    "image_outside": _first("images", file_name="../../image.png"),
    "image_absolute": _first("images", file_name="/etc/passwd"),
    "image_number": _first("images", file_name=7),
    "image_size": _first("images", height=41),
    "image_infinite": _first("images", height=float("inf")),
    "image_text": _first("images", height="forty"),
    "image_list": _first("images", id=[1]),
    "box_text": _first("annotations", bbox="1,2,3,4"),
    "box_short": _first("annotations", bbox=[1, 2, 3]),
    "box_null": _first("annotations", bbox=None),
    "box_nan": _first("annotations", bbox=[1, 2, float("nan"), 4]),
    "box_infinite": _first("annotations", bbox=[1, 2, float("inf"), 4]),
    "box_negative": _first("annotations", bbox=[1, 2, -3, 4]),
    "box_outside": _first("annotations", bbox=[999, 999, 3, 4]),
    "box_nested": _first("annotations", bbox=[[1], [2], [3], [4]]),
    "box_of_no_image": _first("annotations", image_id=99),
    "box_of_no_category": _first("annotations", category_id=99),
    "crowd_text": _first("annotations", iscrowd="perhaps"),
    "area_text": _first("annotations", area="large"),
    "mask_no_counts": _mask({"size": list(SIZE)}),
    "mask_negative_run": _mask({"size": list(SIZE), "counts": [-5, 2405]}),
    "mask_long_run": _mask({"size": list(SIZE), "counts": [1, 10**12]}),
    "mask_short_runs": _mask({"size": list(SIZE), "counts": [10]}),
    "mask_text": _mask("everything"),
    "mask_no_text": _mask({"size": list(SIZE), "counts": "\u00ff\u00ff"}),
    "mask_other_size": _mask({"size": [2, 2], "counts": [2, 2]}),
    "mask_two_points": _mask([[1, 1, 2, 2]]),
    "mask_odd": _mask([[1, 1, 2, 2, 3, 3, 4]]),
    "mask_nan": _mask([[1, 1, 2, 2, float("nan"), 3]]),
    "mask_words": _mask([["a", "b", "c", "d", "e", "f"]]),
}
JSON = {"cut": '{"images": [', "text": "none", "list": "[]", "null": "null", "bytes": "\ud800", "number": "1e999"}


def write_coco() -> None:
    """Write data sets in COCO's layout: a sound one, and one per thing that can be wrong."""

    def write(name: str, text: Callable[[str], str | bytes]) -> None:
        for part in ("train", "val"):
            folder = Path(name, part)
            folder.mkdir(parents=True)
            for number in (1, 2, 3):
                noise(number).save(folder / f"{number:03d}.png")
            file = Path(name, "annotations", f"instances_{part}.json")
            file.parent.mkdir(exist_ok=True)
            written = text(part)
            file.write_bytes(written.encode("utf-8", "surrogatepass") if isinstance(written, str) else written)

    def changed(change: Callable[[Annotations], object]) -> Callable[[str], str]:
        def text(part: str) -> str:
            content = example()
            if part == "train":
                change(content)
            return json.dumps(content)

        return text

    write("coco", changed(lambda _: None))
    write("coco_markup", lambda _: json.dumps(example()).replace("wedge", "[/x]").replace("block", "[red]y"))
    for name, change in COCO.items():
        write(f"coco_{name}", changed(change))
    for name, text in JSON.items():
        write(f"coco_{name}", lambda _, text=text: text)  # type: ignore[misc]
    write("coco_deep", lambda _: "[" * 100_000)
    write("coco_differing", lambda part: json.dumps(example()).replace("wedge", part))
    for name in ("bomb", "wide", "fifo", "zero", "text", "cut"):
        write(f"coco_with_{name}", changed(lambda _: None))
        Path(f"coco_with_{name}/train/001.png").unlink()
        Path(f"coco_with_{name}/train/001.png").symlink_to(Path(f"{name}.png").absolute())


def _mask_folder(name: str, wrong: Any = None, classes: str = "") -> Path:
    """Write images with a class number per pixel; the first mask may be given, as an image or as bytes."""
    for part in ("images", "masks"):
        Path(name, part).mkdir(parents=True)
    for number in range(6):
        noise(number).save(Path(name, "images", f"{number}.png"))
        mask = Image.fromarray(np.asarray(noise(number, channels=1)) // 100)
        mask.save(Path(name, "masks", f"{number}.png"))
    if isinstance(wrong, bytes):
        Path(name, "masks", "0.png").write_bytes(wrong)
    elif wrong is not None:
        wrong.save(Path(name, "masks", "0.png"))
    if classes:
        Path(name, "classes.txt").write_text(classes, encoding="utf-8")
    return Path(name)


def write_masks() -> None:
    """Write data sets to segment: folders of images and masks, and Pascal VOC's layout."""
    _mask_folder("masks")
    _mask_folder("masks_markup", classes="[/x]\n[red]y\n[/]")
    _mask_folder("masks_few_names", classes="a\nb")
    _mask_folder("masks_colors", noise())
    _mask_folder("masks_size", noise(size=(4, 4), channels=1).point(lambda _: 0))
    _mask_folder("masks_deep", Image.fromarray(np.zeros(SIZE, dtype=np.uint16)))
    _mask_folder("masks_text", b"no image")
    _mask_folder("masks_empty", b"")
    (_mask_folder("masks_absent") / "masks" / "0.png").unlink()
    Image.fromarray(np.full(SIZE, 255, dtype=np.uint8)).save(_mask_folder("masks_ignored") / "masks" / "0.png")
    for name in ("bomb", "wide", "fifo", "zero", "cut"):
        for part in ("images", "masks"):
            file = _mask_folder(f"{part}_with_{name}") / part / "0.png"
            file.unlink()
            file.symlink_to(Path(f"{name}.png").absolute())
    Path("masks_no_image/images").mkdir(parents=True)
    Path("masks_no_image/masks").mkdir(parents=True)
    for name in ("voc", "voc_no_list", "voc_absent", "voc_outside", "voc_empty_list"):
        for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
            Path(name, part).mkdir(parents=True)
        for number in range(4):
            noise(number).save(Path(name, f"JPEGImages/{number}.jpg"))
            Image.fromarray(np.zeros(SIZE, dtype=np.uint8)).save(Path(name, f"SegmentationClass/{number}.png"))
        if name != "voc_no_list":
            lists = {"voc_absent": "0 1 7", "voc_outside": "../../image", "voc_empty_list": ""}
            Path(name, "ImageSets/Segmentation/train.txt").write_text(lists.get(name, "0 1 2"))
            Path(name, "ImageSets/Segmentation/val.txt").write_text("3")


def write_shards() -> None:
    """Write descriptions of shards that are not there, or that would execute something."""
    for name, files in (("absent", ["no.tar"]), ("pipe", ["pipe:touch executed"]), ("outside", ["../../no.tar"])):
        split = {"filenames": files, "shard_lengths": [9], "num_samples": 9}
        Path(f"shards_{name}").mkdir()
        splits = {part: split | {"name": part} for part in ("train", "validation")}
        Path(f"shards_{name}/_info.json").write_text(json.dumps({"splits": splits}))
    for name, text in (("text", "none"), ("empty", "{}"), ("deep", "[" * 100_000), ("list", "[]")):
        Path(f"shards_{name}").mkdir()
        Path(f"shards_{name}/_info.json").write_text(text)


def write_all() -> None:
    """Write everything into the working folder."""
    for write in (
        write_images,
        write_folders,
        write_coco,
        write_masks,
        write_shards,
        write_recipes,
        write_runs,
        write_weights,
    ):
        write()
