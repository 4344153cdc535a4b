"""Finding image files in folders: each real file once, whatever links lead to it."""

from __future__ import annotations

import errno
import glob
import logging
import os
import stat
import time
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from torchvision.datasets.folder import IMG_EXTENSIONS

log = logging.getLogger(__name__)
OTHERS = 100_000  # so many files that are no images, and ten times as many as images: it is no folder of images
REPORT_SECONDS = 5.0


class ClassFolders(NamedTuple):
    """Image files with their classes, the names of the classes, and each real file's identity with its path."""

    samples: list[tuple[str, int]]
    classes: list[str]
    files: dict[int, str]


class Search:
    """Counts the files that a search looks at, says so every few seconds, and stops it where hardly any is an image.

    Args:
        place: What is searched.
    """

    def __init__(self, place: str | Path) -> None:
        self.place, self.images, self.others, self.said = place, 0, 0, time.monotonic()

    def count(self, is_image: bool) -> None:
        """Count a file.

        Raises:
            ValueError: too many are no images.
        """
        self.images += is_image
        self.others += not is_image
        if self.others > max(OTHERS, 10 * self.images):
            raise ValueError(
                f"{self.place} holds {self.others:,} files that are no images and {self.images:,} that are: "
                "name the folder of the images"
            )
        if (self.images + self.others) % 1000 == 0 and time.monotonic() - self.said > REPORT_SECONDS:
            self.said = time.monotonic()
            log.warning("searching %s: %s images among %s files", self.place, self.images, self.images + self.others)


def is_image(name: str) -> bool:
    """Return whether a file's name ends as an image's."""
    return name.lower().endswith(IMG_EXTENSIONS)


def is_folder(place: str | Path) -> bool:
    """Return whether there is a folder of a name.

    Raises:
        ValueError: no file can have that name.
    """
    try:
        return stat.S_ISDIR(os.stat(place).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:
        raise
    except (OSError, ValueError) as error:  # too long, a zero byte, links in a circle
        shown = text if len(text := str(place)) < 80 else f"{text[:60]}… ({len(text)} characters)"
        raise ValueError(f"{shown!r} is no folder: {getattr(error, 'strerror', None) or error}") from None


def identity(path: str | Path) -> int:
    """Return a number that is the same for all names of one file, or of a link that leads nowhere."""
    status = os.stat(path, follow_symlinks=os.path.exists(path))
    return status.st_dev << 64 | status.st_ino


def image_files(folder: str | Path) -> Iterator[Path]:
    """Yield the image files in a folder and those below it in the order of their names, each real file once.

    Links are followed, but no folder is entered twice, so that links in a circle end. What is named as an image and
    is none (a pipe, a dangling link) is yielded too: opening it says what is wrong.

    Raises:
        ValueError: there are too many files that are no images.
    """
    return (Path(path) for _, path in _walk(folder, Search(folder)))


def matching_files(pattern: str) -> Iterator[Path]:
    """Yield the image files that a pattern such as ``photos/**/*.png`` names, in the order of their names.

    Below ``**`` each real file comes once, as from :func:`image_files`; Python's own ``glob`` does not end in our time
    where two links lead back.
    """
    parts = Path(pattern).parts
    if "**" not in parts:
        yield from (Path(file) for file in sorted(glob.glob(pattern)) if is_image(file) and not os.path.isdir(file))
        return
    first = parts.index("**")
    for folder in sorted(glob.glob(os.path.join(*parts[:first], ""))) if first else ["."]:
        for file in image_files(folder):
            if _fits(file.relative_to(folder).parts, parts[first:]):
                yield file


def _fits(names: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern or not names:
        return not names and set(pattern) <= {"**"}
    hidden = names[0].startswith(".") and not pattern[0].startswith(".")
    if pattern[0] == "**":
        return _fits(names, pattern[1:]) or (not hidden and _fits(names[1:], pattern))
    return not hidden and fnmatchcase(names[0], pattern[0]) and _fits(names[1:], pattern[1:])


def images_by_class(root: str | Path) -> ClassFolders:
    """Return the image files below a folder that has one folder per class, each real file once.

    Raises:
        FileNotFoundError: there is no folder in it, or one without an image.
        ValueError: a file is in two classes, or there are too many files that are no images.
    """
    classes = [entry.name for entry in _entries(root) if _is_folder(entry)]
    if not classes:
        raise FileNotFoundError(f"there is no folder in {root}")
    search, found = Search(root), ClassFolders([], classes, {})
    labels: dict[int, int] = {}
    for label, name in enumerate(classes):
        folder = os.path.join(root, name)
        members = sorted(_walk(folder, search), key=lambda file: os.path.split(file[1]))
        if not members:
            raise FileNotFoundError(f"there is no image in {folder}")
        for number, path in members:
            if (other := labels.setdefault(number, label)) != label:
                both = f"{classes[other]} and {name}"
                raise ValueError(f"{found.files[number]} and {path} are one file, but in two classes, {both}")
            found.files[number] = path
            found.samples.append((path, label))
    return found


def check_apart(train: dict[int, str], held_out: dict[int, str]) -> None:
    """Refuse a file that is both to train on and held out.

    Args:
        train: Paths by their files' :func:`identity`.
        held_out: The same.

    Raises:
        ValueError: names both paths.
    """
    for number in train.keys() & held_out.keys():
        raise ValueError(
            f"{train[number]} and {held_out[number]} are one file, but the one is to train on and the other held out"
        )


def _walk(folder: str | Path, search: Search) -> Iterator[tuple[int, str]]:
    """Yield the identity and the path of every real image file below a folder, in the order of their names."""
    seen, again = set(), 0
    waiting: list[tuple[os.DirEntry[str] | None, int]] = [(None, 0)]
    while waiting:
        entry, device = waiting.pop()
        path = str(folder) if entry is None else entry.path
        enters = entry is None or _is_folder(entry)
        if not enters:
            search.count(is_image(path))
            if not is_image(path):
                continue
        # Only links and folders need to be asked: the listing of a folder tells its files apart.
        linked = entry is None or enters or entry.is_symlink()
        number = identity(path) if linked else device << 64 | entry.inode()  # type: ignore[union-attr]
        if number in seen:
            again += 1
            continue
        seen.add(number)
        if enters:
            waiting += [(entry, number >> 64) for entry in reversed(_entries(path))]
        else:
            yield number, path
    if again:
        log.warning("links in %s lead to files or folders that were found before (%s): each counts once", folder, again)


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder, in the order of names."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise ValueError(f"{str(folder)[:60]}… has folders in folders too deep to be named") from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def find_images(places: Iterable[str | Path]) -> Iterator[Path]:
    """Yield the image files that files, folders (searched through) and patterns name, each place in order.

    A folder and a pattern give each real file once, whatever links lead to it.

    Raises:
        FileNotFoundError: a place names no image.
        ValueError: a place cannot be a name, or a folder holds hardly any images among very many files.
    """
    for place in places:
        if is_folder(place):
            files = image_files(place)
        else:
            files = iter([Path(place)]) if Path(place).exists() else matching_files(str(place))
        first = next(files, None)
        if first is None:
            raise FileNotFoundError(f"{str(place)!r} names no image: give files, folders or a pattern such as '*.jpg'")
        yield first
        yield from files


def distinct_images(places: Iterable[str | Path]) -> list[Path]:
    """Return the image files that places name, as :func:`find_images` does, if each can have a picture of its name.

    Raises:
        FileNotFoundError: a place names no image.
        ValueError: two files have one name.
    """
    files = list(find_images(places))
    seen: dict[str, Path] = {}
    for file in files:
        if (other := seen.setdefault(file.stem, file)) != file:
            raise ValueError(f"{other} and {file} would both be written to {file.stem}.png: take them one by one")
    return files
