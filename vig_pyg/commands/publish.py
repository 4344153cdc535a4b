"""``vig-pyg publish``."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from vig_pyg.commands.app import app, console
from vig_pyg.commands.options import Trust
from vig_pyg.study.publication import HUB, send, write_publication


@app.command()
def publish(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    to: Annotated[str, typer.Option(help="hf-hub:NAME, such as hf-hub:someone/digits, or an empty folder.")],
    license: Annotated[str | None, typer.Option(help="Of the weights, as hubs name it: mit, cc-by-4.0, …")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Send it to the hub; without, it is only said what would be.")
    ] = False,
    trust: Trust = False,
) -> None:
    """Make a run's best weights ready for others: weights, configuration, recipe, metrics, a model card with a picture.

    The card is filled from the run. No data and no absolute path of this machine are in it.
    """
    if not to.startswith(HUB):
        if yes:
            raise ValueError(f"--yes changes nothing: {to} is a folder, and nothing is sent")
        files = write_publication(run, Path(to), to, license, trust)
        console.print(f"Written to {to}: {', '.join(file.name for file in files)}.")
        return
    name = to.removeprefix(HUB)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ValueError(f"--to must be hf-hub:OWNER/NAME, got {to!r}")
    with TemporaryDirectory() as folder:
        files = write_publication(run, Path(folder), to, license, trust)
        sizes = ", ".join(f"{file.name} ({file.stat().st_size / 1e3:,.0f} kB)" for file in files)
        if yes:
            console.print(f"Sent to {send(Path(folder), name)}: {sizes}.")
        else:
            console.print((Path(folder) / "README.md").read_text())
            console.print(f"Nothing was sent. With --yes, {name} on the hub gets this card and: {sizes}.")
