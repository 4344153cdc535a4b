"""What a study found, and its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from vig_pyg.files import write_whole
from vig_pyg.study.studies import Line
from vig_pyg.study.tables import write_tables


@dataclass(frozen=True)
class Finding:
    """What a study found: a table, pictures beside the report, and what may be said about it."""

    name: str
    title: str
    question: str
    note: str
    frame: pd.DataFrame
    claims: list[str]
    pictures: Mapping[str, str]
    """Captions by the name of the file."""
    lines: Sequence[Line] = ()


def write_finding(
    out: Path, name: str, frame: pd.DataFrame, pictures: Mapping[str, tuple[Figure, str]]
) -> dict[str, str]:
    """Write a table and pictures, and return the pictures' captions."""
    out.mkdir(parents=True, exist_ok=True)
    write_tables(out, name, frame)
    for picture, (figure, _) in pictures.items():
        save(figure, out / f"{picture}.png")
    return {picture: caption for picture, (_, caption) in pictures.items()}


def save(figure: Figure, path: Path) -> None:
    """Write a picture that appears whole."""
    write_whole(path, lambda partial: figure.savefig(partial, dpi=150, format="png"))
