"""Image files that are damaged, dangerous or odd, each with what must be said of it."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image


def bomb(path: Path) -> None:
    """Write a PNG of a few bytes that says it has 900 million pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def cut(suffix: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        noise = np.random.default_rng(0).integers(256, size=(48, 48, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path, format=suffix)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return write


def floats(value: float) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(np.full((48, 48), value, dtype=np.float32)).save(path, format="tiff")


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut PNG": (cut("png"), "does not decode: "),
    "cut JPEG": (cut("jpeg"), "does not decode: image file is truncated"),
    "cut TIFF": (cut("tiff"), "does not decode: "),
    "no image": (lambda path: path.write_bytes(b"nothing"), "is no image that can be read"),
    "empty": (lambda path: path.touch(), "is no image that can be read"),
    "bomb": (bomb, r"900000000 pixels.* exceeds limit of 178956970 pixels"),
    "pipe": (os.mkfifo, "is no regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is no regular file"),
    "link to itself": (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
    "link to nothing": (lambda path: path.symlink_to("nothing"), "No such file"),
    "all NaN": (floats(np.nan), "holds values that are not finite"),
    "infinite": (floats(np.inf), "holds values that are not finite"),
    "beyond one": (floats(200), "holds values from 200 to 200, but they must be from 0 to 1"),
}
LONG = 400_000, 2


def long(path: Path) -> None:
    """Write an image that has few pixels, and billions once its shorter side is enlarged."""
    Image.new("RGB", LONG).save(path, format="png")
