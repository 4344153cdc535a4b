"""The command ``vig-pyg``."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version


def main() -> None:
    """Run the command; what cannot be imported is explained in one line."""
    try:
        from vig_pyg.commands import app
    except (RuntimeError, ImportError) as error:
        sys.exit(f"vig-pyg: {explain_import_error(error)}")
    app()


def explain_import_error(error: BaseException) -> str:
    """Return one sentence that says why the library cannot be imported and what to install."""
    if "torchvision::nms" in str(error):
        return (
            f"torch {_version('torch')} and torchvision {_version('torchvision')} do not belong together; "
            "install a pair that does, such as: pip install torch==2.11.0 torchvision==0.26.0"
        )
    if isinstance(error, ModuleNotFoundError) and error.name in ("typer", "rich", "sklearn", "matplotlib"):
        return f"the command needs {error.name}: pip install 'vig_pyg[train]'"
    return f"{type(error).__name__}: {error}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
