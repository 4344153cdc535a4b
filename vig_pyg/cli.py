"""The command ``vig-pyg``, and what it says where the library cannot be imported. Imports nothing heavy."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def main() -> None:
    """Run the command; a package that it needs and does not find is named in one line."""
    try:
        with stop_at_once():
            from vig_pyg.commands import app
    except ModuleNotFoundError as error:
        sys.exit(f"vig-pyg: the command needs {error.name}: pip install 'vig_pyg[train]'")
    app()


@contextmanager
def stop_at_once() -> Iterator[None]:
    """End the command without a traceback where it imports and Ctrl-C is pressed or nothing can be written."""
    before = signal.getsignal(signal.SIGINT)
    ours = _is_command() and before is signal.default_int_handler
    if not ours or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    except OSError as error:  # torch looks for a folder for temporary files
        sys.exit(f"vig-pyg: the command cannot start: {error}")
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def stop_on_mismatched_torch() -> Iterator[None]:
    """Explain a torch that does not fit its torchvision: in one line where the command runs, else as ImportError."""
    try:
        yield
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        from vig_pyg.machine import installed_version

        found = f"torch {installed_version('torch')} and torchvision {installed_version('torchvision')}"
        sentence = (
            f"{found} do not belong together; install a pair that does, such as: "
            "pip install torch==2.11.0 torchvision==0.26.0"
        )
        if _is_command():
            sys.exit(f"vig-pyg: {sentence}")
        raise ImportError(sentence) from error


def _is_command() -> bool:
    return Path(sys.argv[0]).stem == "vig-pyg" or sys.argv[0] == "-m" or Path(sys.argv[0]).parent.name == "vig_pyg"
