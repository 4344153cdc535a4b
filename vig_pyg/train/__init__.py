"""Training, on data that comes with the library or fits into memory."""

from vig_pyg.train.digits import Split, load_digits
from vig_pyg.train.fit import Epoch, accuracy, fit

__all__ = ["Epoch", "Split", "accuracy", "fit", "load_digits"]
