r"""What is added to the scores of a search, such as positions.

Where queries and keys are on two grids, a bias that is a function of the row plus one of the column needs no table of
all pairs: :math:`b_{(r, c), (s, d)} = \mathrm{rows}_{r, s} + \mathrm{columns}_{c, d}`.
"""

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor


class AxisBias(NamedTuple):
    """The bias between a grid of queries, ``H × W``, and one of keys, ``h × w``, both counted row by row."""

    rows: Tensor
    """What two rows add, ``[H, h]``."""
    columns: Tensor
    """What two columns add, ``[W, w]``."""

    def to(self, like: Tensor) -> "AxisBias":
        """Return it in the type and on the device of a tensor."""
        return AxisBias(self.rows.to(like), self.columns.to(like))

    def add_to(self, scores: Tensor, start: int = 0) -> None:
        """Add it to the scores ``[..., N, M]`` of the queries from ``start`` on, in place."""
        query = torch.arange(start, start + scores.size(-2), device=scores.device)
        width = self.columns.size(0)
        of_keys = scores.unflatten(-1, (self.rows.size(1), self.columns.size(1)))
        of_keys += self.rows[query.div(width, rounding_mode="floor")].unsqueeze(2)
        of_keys += self.columns[query % width].unsqueeze(1)

    def table(self) -> Tensor:
        """Return it for all pairs, ``[H·W, h·w]``."""
        pairs = self.rows[:, None, :, None] + self.columns[None, :, None]
        return pairs.flatten(2).flatten(0, 1)


Bias: TypeAlias = Tensor | AxisBias
"""``[N, M]`` for all images, ``[B, N, M]`` for each, or by axes."""


def add_bias(scores: Tensor, bias: Bias | None, image: int, start: int) -> None:
    """Add a bias to the scores ``[n, M]`` of one image's queries from ``start`` on, in place."""
    if isinstance(bias, AxisBias):
        bias.add_to(scores, start)
    elif bias is not None:
        of_image = bias if bias.dim() == 2 else bias[image]
        scores += of_image[start : start + len(scores)]
