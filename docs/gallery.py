"""The gallery: every notebook with the outputs that are stored in it, and a card with its last picture."""

from __future__ import annotations

import base64
import io
import math
import shutil
from pathlib import Path

import nbformat
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"


def notebooks() -> list[Path]:
    """Return the notebooks in the order of their numbers."""
    return sorted(EXAMPLES.glob("*.ipynb"))


def title(notebook: nbformat.NotebookNode) -> str:
    """Return the heading that a notebook begins with."""
    return notebook.cells[0].source.splitlines()[0].lstrip("# ")


def picture(notebook: nbformat.NotebookNode) -> bytes:
    """Return that of a notebook's pictures whose shape comes nearest to a card's, three to two."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    pictures = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return min(map(base64.b64decode, pictures), key=_unlike_a_card)


def _unlike_a_card(picture: bytes) -> float:
    width, height = Image.open(io.BytesIO(picture)).size
    return abs(math.log(width / height / 1.5))


def write(folder: Path) -> None:
    """Write the notebooks, their pictures, and the cards that lead to them."""
    folder.mkdir(parents=True, exist_ok=True)
    cards = ["::::{grid} 1 2 2 3", ":gutter: 3", ""]
    for path in notebooks():
        notebook = nbformat.read(path, as_version=4)
        shutil.copy(path, folder)
        (folder / f"{path.stem}.png").write_bytes(picture(notebook))
        card = f":::{{grid-item-card}} {title(notebook)}"
        cards += [card, f":link: /generated/gallery/{path.stem}", ":link-type: doc"]
        cards += [f":img-bottom: /generated/gallery/{path.stem}.png", ":::", ""]
    (folder / "cards.md").write_text("\n".join([*cards, "::::", ""]), encoding="utf-8")
