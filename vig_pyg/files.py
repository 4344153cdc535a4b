"""Files that appear whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path`` and put it in its place once it is on the disk.

    Processes and machines may write one file at once: the last to finish wins.

    Raises:
        OSError: it cannot be written; names the file.
    """
    partial = _partial(path)
    try:
        write(partial)
        to_disk(partial)
        os.replace(partial, path)
    except (OSError, RuntimeError, SafetensorError) as error:  # where a disk is full, writers say any of them
        if isinstance(error, OSError) and error.filename is not None:
            raise
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise OSError(f"{path} cannot be written ({reason})") from error
    finally:
        partial.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """Make the folder for a file; raise, before the work for it, an OSError where the file cannot be written."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    partial.touch()
    partial.unlink()


def table_place(out: Path | None, *suffixes: str) -> Path | None:
    """Return the file for a table, None for none, checked as by :func:`check_place`; refuse other suffixes."""
    if out is not None and out.suffix not in suffixes:
        raise ValueError(f"--out must end in {' or '.join(suffixes)}, got {str(out)!r}")
    if out is not None:
        check_place(out)
    return out


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.{socket.gethostname()}-{os.getpid()}.partial")


def write_text(path: Path, text: str) -> None:
    """Write text, see :func:`write_whole`."""
    write_whole(path, lambda partial: partial.write_text(text))


def as_json(content: Any) -> str:
    """Return what a file with some content holds."""
    return json.dumps(content, indent=1) + "\n"


def write_csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write rows, the names of the columns first."""

    def write(partial: Path) -> None:
        with partial.open("w", newline="") as file:
            csv.writer(file).writerows(rows)

    write_whole(path, write)


def to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
