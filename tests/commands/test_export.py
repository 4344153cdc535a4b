"""``vig-pyg export``, as a person types it; models/test_export.py runs what is written."""

import pytest

from tests.commands.test_commands import call
from vig_pyg.commands.export import SUFFIXES


def test_export_writes_a_file(run, tmp_path):
    status, output = call("export", run, "--out", tmp_path / "model.onnx", "--dynamic-batch")
    assert status == 0, output
    assert (tmp_path / "model.onnx").stat().st_size > 100_000


@pytest.mark.parametrize("to", list(SUFFIXES))
def test_a_file_is_named_after_what_is_written(to, run, tmp_path):
    status, output = call("export", run, "--to", to.value, "--out", tmp_path / "model.bin")
    assert status == 2 and f"--out must end in {SUFFIXES[to]} for --to {to.value}" in output
    assert not list(tmp_path.iterdir())
