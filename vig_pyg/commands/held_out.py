"""What ``vig-pyg eval`` does alike for every task."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from vig_pyg.commands.app import console, progress_bar

Measured = TypeVar("Measured")


class HeldOut(NamedTuple):
    """What is measured on which held-out images, how, and where the tables go."""

    weights: Path
    data: str
    data_root: str
    image_size: int | None
    batch: int
    workers: int
    out: Path
    device: str
    trust: bool = False

    def measure(self, images: Any, evaluate: Callable[[Callable[[int], None]], Measured]) -> Measured:
        """Say what is measured, make the folder for the tables, and return what was measured, with a progress bar.

        Args:
            images: A data set with ``name`` and ``test``.
            evaluate: Called with what it calls with the number of images behind every batch.
        """
        count = len(images.test)
        console.print(f"Evaluates {self.weights} on the {count:,} held-out images of {images.name}, on {self.device}.")
        self.out.mkdir(parents=True, exist_ok=True)
        with progress_bar() as bar:
            task = bar.add_task("images", total=count, note="")
            return evaluate(lambda n: bar.update(task, advance=n))


def name_broken(names: Iterable[str]) -> None:
    """Print the names of images that did not decode."""
    for name in names:
        console.print(f"does not decode: {name}", markup=False)
