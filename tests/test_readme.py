"""What the README shows works as it stands."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from vig_pyg.commands import app

TEXT = (Path(__file__).parents[1] / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.S)


def commands_in(text: str) -> list[str]:
    """Return what follows ``vig-pyg`` in the shell blocks of a page."""
    return [
        command
        for block in re.findall(r"```sh\n(.*?)```", text, re.S)
        for line in block.splitlines()
        for command in re.findall(r"(?:vig-pyg|-m vig_pyg) ([^#;]*)", line)
    ]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_run(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("command", commands_in(TEXT))
def test_commands_have_the_options_that_are_shown(command):
    words = shlex.split(command)
    subcommand = get_command(app).commands[words[0]]
    subcommand.make_context(words[0], words[1:])
