"""What all commands share: sentences instead of tracebacks."""

from typer.testing import CliRunner

from tests.commands.test_commands import call
from vig_pyg.commands.app import app


def test_debug_shows_the_traceback_that_is_otherwise_a_sentence():
    status, output = call("predict", "nowhere", "x.png")
    assert status == 2 and "there are no weights in nowhere" in output
    result = CliRunner().invoke(app, ["--debug", "predict", "nowhere", "x.png"])
    assert isinstance(result.exception, FileNotFoundError) and result.exception.__traceback__ is not None
