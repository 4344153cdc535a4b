"""What tests of commands share."""

from pathlib import Path

import pytest

from tests.commands.test_commands import BRIEF, call


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """Return the folder of a short training on digits."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    status, output = call("train", "--conv", "gin", "--out", out, *BRIEF)
    assert status == 0, output
    return out
