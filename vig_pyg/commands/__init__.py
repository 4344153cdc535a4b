"""What the command ``vig-pyg`` can do: thin layers of options, progress bars and tables."""

from vig_pyg.commands import (  # noqa: F401  (they register)
    convert,
    demo,
    describe,
    evaluate,
    export,
    predict,
    publish,
    study,
    train,
    visualize,
)
from vig_pyg.commands.app import app

__all__ = ["app"]
