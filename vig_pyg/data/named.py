"""Data sets that timm loads by name: torchvision's, Hugging Face's, and shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from timm.data import create_dataset

RAW = ("wds", "hfds", "hfids")  # these can give images as they are in their files, before timm turns them to 8 bits


def named_data(name: str, root: str, classes: int | None) -> tuple[Any, Any, list[str]]:
    """Return the part to train on, the part held out, and the classes' names; see :func:`~vig_pyg.train.load_data`."""
    kind = name.split("/")[0]
    if kind == "wds":
        root = name.removeprefix("wds/")
        if not Path(root, "_info.json").is_file():
            raise FileNotFoundError(f"there is no {root}/_info.json, which says what shards a data set has")
    mode = "" if kind in RAW else "RGB"
    try:
        train = create_dataset(name, root=root, split="train", is_training=True, download=True, input_img_mode=mode)
        test = create_dataset(name, root=root, split="validation", download=True, input_img_mode=mode)
    except Exception as error:  # every reader raises its own
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"timm cannot load {name!r} from {root!r}: {reason}") from error
    if kind == "wds":
        for part in (train, test):
            _check_shards(Path(root), part.reader.split_info.filenames)
    names = getattr(train, "classes", None) or list(getattr(getattr(train, "reader", None), "class_to_idx", {}))
    if not names and classes is None:
        raise ValueError(f"{name} does not say how many classes it has: add classes=NUMBER")
    return train, test, [str(c) for c in names or range(classes or 0)]


def _check_shards(root: Path, names: list[str]) -> None:
    for name in names:
        if not (root / name).is_file():
            raise FileNotFoundError(f"there is no shard {root / name}, which _info.json names")
