"""``python -m vig_pyg`` is the command ``vig-pyg``."""

from vig_pyg.cli import main

if __name__ == "__main__":
    main()
