"""Reading COCO's JSON of instances: every entry is checked before COCO's tools see it."""

from __future__ import annotations

import io
import json
import reprlib
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO

FAR = 10  # times the sides of an image: COCO's tools run out of memory drawing polygons that go further


def read_annotations(path: Path, masks: bool) -> COCO:
    """Return annotations for COCO's tools.

    Args:
        path: A JSON file.
        masks: Check masks too.

    Raises:
        ValueError: it is no JSON in COCO's format, or an entry is impossible; names the entry by its number.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{path} is not in COCO's format: it is nested too deep") from None
    except ValueError as error:
        raise ValueError(f"{path} is not in COCO's format: {error}") from None
    try:
        _check(content, masks)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    coco = COCO()
    coco.dataset = content
    with redirect_stdout(io.StringIO()):  # COCO's tools print
        coco.createIndex()
    return coco


def _check(content: Any, masks: bool) -> None:
    if not isinstance(content, dict):
        raise ValueError(f"this is not in COCO's format: it holds no object but {reprlib.repr(content)}")
    known = {kind: _by_id(content, kind) for kind in ("images", "categories")}
    for entry in known["images"].values():
        what = f"image {entry['id']}"
        _require(entry, what, "file_name", isinstance(entry.get("file_name"), str), "text")
        for side in ("width", "height"):
            _require(entry, what, side, _is_whole(entry.get(side)) and 0 < entry[side] < 2**31, "a number of pixels")
    for entry in known["categories"].values():
        _require(entry, f"category {entry['id']}", "name", isinstance(entry.get("name"), str), "text")
    for entry in _entries(content, "annotations"):
        _check_annotation(entry, known, masks)


def _entries(content: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    entries = content.get(kind)
    if not isinstance(entries, list):
        raise ValueError(f"this is not in COCO's format: {kind} must be a list, got {reprlib.repr(entries)}")
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict) or not _is_whole(entry.get("id")):
            raise ValueError(f"this is not in COCO's format: {kind}[{place}] has no whole number as id")
    return entries


def _by_id(content: dict[str, Any], kind: str) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for entry in _entries(content, kind):
        if found.setdefault(entry["id"], entry) is not entry:
            raise ValueError(f"two of the {kind} have the id {entry['id']}")
    return found


def _check_annotation(entry: dict[str, Any], known: dict[str, dict[int, dict[str, Any]]], masks: bool) -> None:
    what = f"annotation {entry['id']}"
    for key, kind in (("image_id", "images"), ("category_id", "categories")):
        if not _is_whole(entry.get(key)) or entry[key] not in known[kind]:
            raise ValueError(
                f"{what} is of {key.removesuffix('_id')} {reprlib.repr(entry.get(key))}, which is not listed"
            )
    box, image = entry.get("bbox"), known["images"][entry["image_id"]]
    size = [image["height"], image["width"]]
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)) or min(box[2:]) < 0:
        raise ValueError(f"{what} has the box {reprlib.repr(box)}: it must be left, top, width and height in pixels")
    left, top, width, height = box
    if left >= size[1] or top >= size[0] or left + width < 0 or top + height < 0:
        raise ValueError(f"{what} has the box {box} outside of image {image['id']}, which is {size} high and wide")
    _require(entry, what, "iscrowd", entry.get("iscrowd", 0) in (0, 1), "0 or 1")
    area = entry.get("area", 0)
    _require(entry, what, "area", _is_number(area) and area >= 0, "a number of pixels")
    if masks:
        _check_mask(what, entry.get("segmentation"), size)


def _check_mask(what: str, mask: Any, size: list[int]) -> None:
    if not mask:
        raise ValueError(f"{what} has no mask, but mask_rcnn learns masks: take retinanet")
    if isinstance(mask, dict):
        _check_runs(what, mask, size)
        return
    if not isinstance(mask, list) or not all(map(_is_polygon, mask)):
        raise ValueError(f"{what} has a polygon that is not x and y of three points or more")
    furthest = max(abs(number) for polygon in mask for number in polygon)
    if furthest > FAR * max(size):
        raise ValueError(f"{what} has a polygon that goes to {furthest:g}, far outside of an image of {size}")


def _check_runs(what: str, mask: dict[str, Any], size: list[int]) -> None:
    """Refuse run lengths that do not add up: COCO's tools would fill the rest with whatever is in memory."""
    if mask.get("size") != size:
        raise ValueError(
            f"{what} has a mask of {reprlib.repr(mask.get('size'))} for an image of {size} height and width"
        )
    counts = mask.get("counts")
    runs = _decoded(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(map(_is_whole, runs)):
        raise ValueError(f"{what} has a mask whose counts are no run lengths: {reprlib.repr(counts)}")
    if runs and min(runs) < 0:
        raise ValueError(f"{what} has a mask with a negative run length, {min(runs)}")
    if sum(runs) != size[0] * size[1]:
        pixels = size[0] * size[1]
        raise ValueError(f"{what} has run lengths that add up to {sum(runs)}, but its image has {pixels} pixels")


def _decoded(counts: str) -> list[int] | None:
    """Return the run lengths in COCO's text, or None where it holds none.

    A letter has five bits and one that says whether more follow; from the fourth run on, the difference to the run
    before the last is written.
    """
    runs: list[int] = []
    value = place = 0
    for letter in counts:
        bits = ord(letter) - 48
        if not 0 <= bits < 64:
            return None
        value |= (bits & 31) << place
        place += 5
        if not bits & 32:
            value -= (bits & 16) << (place - 4)  # the sign
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = place = 0
    return runs if place == 0 else None


def _is_polygon(polygon: Any) -> bool:
    right = isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0
    return right and all(map(_is_number, polygon))


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e15  # neither infinite nor no number


def _require(entry: dict[str, Any], what: str, key: str, right: bool, wanted: str) -> None:
    if not right:
        got = f"got {reprlib.repr(entry[key])}" if key in entry else "it has none"
        raise ValueError(f"{key} of {what} must be {wanted}, {got}")
