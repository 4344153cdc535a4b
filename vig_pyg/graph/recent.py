"""What depends on sizes alone, made once and kept for the last few."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

Made = TypeVar("Made")


class Recent(Generic[Made]):
    """Keeps what was made for the last few keys. Copies and files do without it, and so does what compiles or traces.

    Args:
        most: How many are kept.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.made: OrderedDict[Hashable, Made] = OrderedDict()

    def get(self, key: Hashable, x: Tensor, make: Callable[[], Made]) -> Made:
        """Return what was made for a key, or make it, for use with ``x``."""
        if torch.compiler.is_compiling() or type(x) is not Tensor:
            return make()
        if key not in self.made:
            self.made[key] = make()
            while len(self.made) > self.most:
                self.made.popitem(last=False)
        return self.made[key]

    def __reduce__(self) -> tuple[Any, ...]:
        return Recent, (self.most,)
