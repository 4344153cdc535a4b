"""What all commands share: sentences instead of tracebacks, and the device."""

import pytest
import torch
from typer.testing import CliRunner

from tests.commands.test_commands import call
from vig_pyg.commands.app import app, check_device, default_device


def test_debug_shows_the_traceback_that_is_otherwise_a_sentence():
    status, output = call("predict", "nowhere", "x.png")
    assert status == 2 and "there are no weights in nowhere" in output
    result = CliRunner().invoke(app, ["--debug", "predict", "nowhere", "x.png"])
    assert isinstance(result.exception, FileNotFoundError) and result.exception.__traceback__ is not None


def test_a_device_that_cannot_compute_here_is_refused():
    check_device("cpu"), check_device(default_device())
    for device in ("abacus", "meta", f"cuda:{torch.cuda.device_count()}"):
        with pytest.raises(ValueError, match=device.partition(":")[0]):
            check_device(device)
