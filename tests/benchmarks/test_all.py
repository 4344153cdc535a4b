"""Every benchmark can be started: what it imports is there."""

from importlib import import_module
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[2] / "benchmarks").glob("[a-z]*.py"))


@pytest.mark.parametrize("name", [file.stem for file in FILES])
def test_it_imports(name):
    assert import_module(f"benchmarks.{name}").__doc__
