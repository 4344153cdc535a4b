"""SHA-256 of files, kept beside them as the tool ``sha256sum`` writes them, and checked before they are read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SUMS = "SHA256SUMS"


class DamagedError(ValueError):
    """A file is not what was once written."""


def sums_of(files: Iterable[Path]) -> str:
    """Return one line per file, its SHA-256 and its name: ``sha256sum --check SHA256SUMS`` checks them."""
    return "".join(f"{_sha256(file)}  {file.name}\n" for file in files)


def check(file: Path, required: bool = False) -> None:
    """Refuse, by a DamagedError, a file that is missing or differs from what the ``SHA256SUMS`` beside it says.

    One that is not listed there is taken as it is and need not exist, unless it is ``required``.
    """
    lines = file.with_name(SUMS).read_bytes().splitlines() if file.with_name(SUMS).is_file() else []
    entries = [re.fullmatch(rb"([0-9a-f]{64})  (.+)", line) for line in lines]
    if None in entries:
        raise DamagedError(f"{file.with_name(SUMS)} is damaged: delete it to read the files beside it unchecked")
    known = {entry[2]: entry[1] for entry in entries if entry}.get(file.name.encode())
    if known is None and not required:
        return
    if not file.is_file():
        raise DamagedError(f"{file} is missing")
    if known is None:
        raise DamagedError(f"{file} cannot be checked: {file.with_name(SUMS)} does not list it")
    if _sha256(file).encode() != known:
        raise DamagedError(f"{file} is damaged: its SHA-256 is not the one in {SUMS}")


def sealed(content: dict[str, Any]) -> str:
    """Return results as JSON, with the SHA-256 of all the rest as the last key."""
    return json.dumps({**content, "sha256": _seal(content)}, indent=1)


def unseal(file: Path) -> dict[str, Any]:
    """Return what a file that :func:`sealed` made holds; refuse, by a DamagedError, what was not written so."""
    try:
        content = json.loads(file.read_bytes())
        if content.pop("sha256") == _seal(content):
            return content
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):  # no text, no JSON, no seal
        pass
    raise DamagedError(f"{file} is damaged: it is not what was written")


def _seal(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
