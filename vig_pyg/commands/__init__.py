"""What the command ``vig-pyg`` can do: thin layers of options, progress bars and tables."""

from vig_pyg.commands import demo, describe, evaluate, export, predict, study, train, visualize  # noqa: F401  (they register)
from vig_pyg.commands.app import app

__all__ = ["app"]
