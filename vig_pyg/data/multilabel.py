"""Images with any number of classes each: a table beside a folder of images, and which digits a scene shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vig_pyg.data.decoded import Files, Images
from vig_pyg.data.folders import check_apart, identity, is_folder, is_image
from vig_pyg.data.labeled import ClassificationData, every_fifth
from vig_pyg.data.scenes import SCENES, write_scenes

TABLES = ("train.csv", "val.csv")
TABLE = "labels.csv"
Rows = list[tuple[str, list[str]]]  # paths, and the names of the classes of each


class MultilabelImages(Images):
    """Images whose labels are a row of zeros and ones, a column per class; −1 throughout counts for nothing."""

    def __init__(self, source: Any, transform: Callable[[Any], Tensor], mode: str, classes: int) -> None:
        super().__init__(source, transform, mode)
        self.nothing = torch.full((classes,), -1.0)


def load_multilabel(name: str, root: str | Path = "data") -> ClassificationData:
    """Return a data set whose labels are rows of zeros and ones.

    Args:
        name: ``digits-scenes`` (which digits a scene shows), or a folder with ``train.csv`` and ``val.csv``, or with
            ``labels.csv``, of which a fifth is then held out. The first column of a table is a file, below the folder;
            then there is either one column with the names of its classes, separated by spaces, or a column of zeros
            and ones for every class.
        root: Where ``digits-scenes`` is written to.

    Raises:
        FileNotFoundError: there is no such folder, table or image.
        ValueError: a table has no such columns or no rows, a held-out image has a class that no other has, or one file
            is in both parts.
    """
    if name == SCENES:
        folder = write_scenes(Path(root) / SCENES)
        train, test = (_of_scenes(folder, part) for part in ("train", "val"))
    else:
        folder = Path(name)
        if not is_folder(folder):
            raise FileNotFoundError(f"there is no folder {name!r}; data may be digits-scenes or a folder with {TABLE}")
        train, test = _of_tables(folder)
    classes = sorted({label for _, labels in train for label in labels})
    for path, labels in test:
        if unknown := set(labels) - set(classes):
            raise ValueError(f"{path} has the class {min(unknown)!r}, which no image to train on has")
    check_apart(*({identity(path): path for path, _ in part} for part in (train, test)))
    return ClassificationData(name, _files(train, classes), _files(test, classes), classes)


def _files(rows: Rows, classes: Sequence[str]) -> Files:
    samples = [(path, torch.tensor([float(name in labels) for name in classes])) for path, labels in rows]
    return Files(samples)  # type: ignore[arg-type]


def _of_tables(folder: Path) -> tuple[Rows, Rows]:
    if all((folder / table).is_file() for table in TABLES):
        train, test = (_rows(folder, folder / table) for table in TABLES)
        return train, test
    if not (folder / TABLE).is_file():
        raise FileNotFoundError(f"{folder} holds neither {' and '.join(TABLES)} nor {TABLE}")
    rows = _rows(folder, folder / TABLE)
    if len(rows) < 2:
        raise ValueError(f"{folder / TABLE} names one image only: one must be held out")
    held_out = set(every_fifth([0] * len(rows)))
    return [row for i, row in enumerate(rows) if i not in held_out], [rows[i] for i in sorted(held_out)]


def _rows(folder: Path, table: Path) -> Rows:
    """Return the rows of a table."""
    try:
        frame = pd.read_csv(table, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{table} is no table: {str(error).splitlines()[0]}") from None
    if frame.shape[1] < 2 or len(frame) == 0:
        raise ValueError(f"{table} must have a column of files, at least one of classes, and rows, got {frame.shape}")
    files, columns = [folder / file for file in frame.iloc[:, 0]], frame.iloc[:, 1:]
    for file in files:
        if not file.is_file() or not is_image(file.name):
            raise FileNotFoundError(f"there is no image {file}, which {table} names")
    if columns.shape[1] == 1:
        return [(str(file), str(cell).split()) for file, cell in zip(files, columns.iloc[:, 0], strict=True)]
    for row, column in np.argwhere(~columns.isin(["0", "1"]).to_numpy()):
        value, name = columns.iat[row, column], columns.columns[column]
        raise ValueError(f"{table} must hold 0 or 1 for every class, but row {row + 1} of {name} has {value!r}")
    flags = (columns == "1").to_numpy()
    return [(str(file), list(columns.columns[row])) for file, row in zip(files, flags, strict=True)]


def _of_scenes(folder: Path, part: str) -> Rows:
    content = json.loads((folder / "annotations" / f"instances_{part}.json").read_text())
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    digits: dict[int, set[str]] = {image["id"]: set() for image in content["images"]}
    for entry in content["annotations"]:
        digits[entry["image_id"]].add(names[entry["category_id"]])
    return [(str(folder / "images" / part / i["file_name"]), sorted(digits[i["id"]])) for i in content["images"]]
