"""Reports as one self-contained HTML page."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader

if TYPE_CHECKING:
    from vig_pyg.study.demo import Row


def write_report(out: Path, rows: Sequence[Row], setting: dict[str, Any]) -> None:
    """Write ``report.html`` beside the pictures that it embeds; the file is whole or not there."""
    environment = Environment(loader=PackageLoader("vig_pyg.study"), autoescape=True)
    pictures = {name: _embed(out / f"{name}.png") for name in ("curves", "photograph", "digit")}
    page = environment.get_template("demo.html").render(rows=rows, setting=setting, pictures=pictures)
    unfinished = out / "report.partial"
    unfinished.write_text(page, encoding="utf-8")
    os.replace(unfinished, out / "report.html")


def _embed(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
