import subprocess
import sys

import pytest

from vig_pyg.cli import explain_import_error


def test_a_torch_that_does_not_fit_its_torchvision_is_explained_in_one_line() -> None:
    sentence = explain_import_error(RuntimeError("operator torchvision::nms does not exist"))
    assert "do not belong together" in sentence and "pip install" in sentence and "\n" not in sentence


def test_a_missing_extra_is_named() -> None:
    error = ModuleNotFoundError("No module named 'sklearn'", name="sklearn")
    assert explain_import_error(error) == "the command needs sklearn: pip install 'vig_pyg[train]'"


@pytest.mark.parametrize("command", [[], ["demo"]])
def test_help_reads_well(command: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "vig_pyg", *command, "--help"], capture_output=True, text=True, check=True
    )
    assert "demo" in result.stdout
