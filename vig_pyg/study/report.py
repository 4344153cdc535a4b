"""Reports as one self-contained HTML page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader

from vig_pyg.files import write_whole

if TYPE_CHECKING:
    from vig_pyg.study.demo import Row


def write_demo_report(out: Path, rows: Sequence[Row], setting: dict[str, Any]) -> None:
    """Write the demo's ``report.html`` beside the pictures that it embeds; the file is whole or not there."""
    pictures = {name: embed(out / f"{name}.png") for name in ("curves", "photograph", "digit")}
    write_page(out, "demo.html", rows=rows, setting=setting, pictures=pictures)


def write_page(out: Path, template: str, **content: Any) -> None:
    """Write ``report.html`` from a template; the file is whole or not there."""
    page = render(template, **content)
    write_whole(out / "report.html", lambda path: path.write_text(page, encoding="utf-8"))


def render(template: str, **content: Any) -> str:
    """Return a page from a template."""
    return Environment(loader=PackageLoader("vig_pyg.study"), autoescape=True).get_template(template).render(content)


def embed(picture: Path | bytes) -> str:
    """Return a PNG as an address that holds all of it."""
    content = picture if isinstance(picture, bytes) else picture.read_bytes()
    return "data:image/png;base64," + base64.b64encode(content).decode()
