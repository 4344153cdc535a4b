r"""Relative position as an inner product of embeddings (paper, Section 3.2, "Positional encoding").

For nodes ``i`` and ``j`` the term ``−2 ⟨e_i, e_j⟩ / D`` is added to the squared feature distance, with ``e`` the
two-dimensional sine-cosine embedding of a node's place and ``D`` its width. On a grid that is a function of the rows
plus one of the columns, and needs no table of all pairs. The published table is an inner product as well, of embeddings
whose keys were resized along both at once.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vig_pyg.checks import check_kind, check_size, check_whole
from vig_pyg.graph.checks import check_matrix
from vig_pyg.graph.layout import Grid
from vig_pyg.graph.points import PointLayout
from vig_pyg.graph.recent import Recent
from vig_pyg.kernels.bias import AxisBias

KEPT_GRIDS = 4  # sizes of images whose positions are kept
LARGEST_TABLE = 1 << 20  # pairs of nodes; without pooling, one by axes says the same of more


def sincos_embedding(pos: Tensor, channels: int) -> Tensor:
    r"""Return the sine-cosine embedding of places.

    Every coordinate has an equal share of the channels, ``x`` the first, each share sines then cosines of
    ``place · ω_i`` with ``ω_i = 10000^(−i / n)`` for ``n`` sines.

    Args:
        pos: Places ``(x, y)``, or with any number of coordinates, in units of the node spacing, the first node at
            zero: ``[N, 2]``.
        channels: Width ``D``, a multiple of twice the number of coordinates.

    Shapes:
        - output: ``[N, D]``, every row of squared norm ``D / 2``

    Raises:
        ValueError: ``channels`` is no such multiple.
    """
    check_matrix("pos", pos)
    check_whole(channels=channels)
    pieces = 2 * pos.size(1)
    if channels % pieces:
        raise ValueError(f"a sine-cosine embedding needs a multiple of {pieces} channels, got {channels}")
    omega = 10000.0 ** (-torch.arange(channels // pieces, dtype=pos.dtype, device=pos.device) * pieces / channels)
    angles = pos.unsqueeze(-1) * omega
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)


class RelativePosition(nn.Module):
    r"""The relative position of a stage of Pyramid ViG, between all nodes and average-pooled ones.

    On the grid that the model was made for, the published fixed table is reproduced: with ``E`` the embeddings of
    that grid and ``R`` a bicubic resize along the *flattened* index of the keys, it is ``−2 E (R E)ᵀ / D``. On any
    other grid, or where the windows do not divide it, the keys are embedded at the centers of their windows and two
    tables are made, of rows and of columns. Without pooling the two agree, and a table is only made of small grids.

    Args:
        channels: Width ``D`` of the stage.
        grid: ``(height, width)`` in nodes that the model is made for; None for nodes without a grid.
        pool: Side of the pooling window of the keys.
    """

    table: Tensor | None

    def __init__(self, channels: int, grid: tuple[int, int] | None, pool: int = 1) -> None:
        super().__init__()
        check_whole(channels=channels, pool=pool)
        check_kind("a pair (height, width) or None", Sequence | None, grid=grid)
        if grid is not None:
            check_size(grid=grid)
        self.channels = channels
        self.grid = grid
        self.pool = pool
        self.recent: Recent[AxisBias] = Recent(KEPT_GRIDS)
        tabled = grid is not None and grid[0] % pool == grid[1] % pool == 0
        if grid is not None and pool == 1:
            tabled = (grid[0] * grid[1]) ** 2 <= LARGEST_TABLE
        self.register_buffer("table", self._table() if tabled else None, persistent=False)
        self.register_load_state_dict_post_hook(type(self).init_non_persistent_buffers)

    def init_non_persistent_buffers(self, *_: object) -> None:
        """Compute the table again, which no file holds: after ``to_empty``, say. torch and timm call it."""
        if self.table is not None and not self.table.is_meta:
            with torch.device("cpu"):
                self.table.copy_(self._table())

    def _table(self) -> Tensor:
        assert self.grid is not None
        embedding = sincos_embedding(grid_places(*self.grid), self.channels)
        keys = resize_flat(embedding, len(embedding) // self.pool**2) if self.pool > 1 else embedding
        return (embedding @ keys.T / self.channels).to(torch.get_default_dtype())

    def bias(self, grid: Grid) -> Tensor | None:
        """Return what to add to inner products of features, ``[N, M]``, on the model's own grid, else None."""
        return self.table if (grid.height, grid.width) == self.grid else None

    def by_axis(self, grid: Grid, like: Tensor) -> AxisBias:
        r"""Return the same on any grid, without the resize: ``⟨e_i, e_j⟩ / D`` of nodes and centers of windows.

        An embedding is one of the column beside one of the row, so their inner product is a sum of two.
        """
        key = grid.height, grid.width, like.device, like.dtype
        return self.recent.get(key, like, lambda: AxisBias(*map(self._along, key[:2])).to(like))

    def _along(self, length: int) -> Tensor:
        """Return the part of one axis with so many nodes, for all these and the windows that they fall into."""
        place = torch.arange(length, dtype=torch.double)
        first = place[:: self.pool]
        center = (first + (first + self.pool).clamp(max=length) - 1) / 2
        both = (sincos_embedding(p.view(-1, 1).expand(-1, 2), self.channels) for p in (place, center))
        nodes, windows = (embedding[:, : self.channels // 2] for embedding in both)
        return nodes @ windows.T / self.channels

    def embeddings_of(self, layout: PointLayout, sources: PointLayout, like: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return the same for nodes without a grid and the nodes among which their neighbors are looked for."""
        # A layout as its own source is no part of the key: one that holds itself is not freed after its batch.
        key = self.channels, None if sources is layout else sources, like.device, like.dtype
        return layout.once(key, lambda: self._embeddings_of(layout, sources, like))

    def _embeddings_of(self, layout: PointLayout, sources: PointLayout, like: Tensor) -> tuple[Tensor, Tensor]:
        def embedded(nodes: PointLayout) -> Tensor:
            places = layout.places(nodes)
            width = self.channels - self.channels % (2 * places.size(1))
            return (sincos_embedding(places, width) * width**-0.5).to(like)

        queries = embedded(layout)
        return queries, queries if sources is layout else embedded(sources)

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows."""
        return f"{self.channels}, grid={self.grid}, pool={self.pool}"


def grid_places(height: int, width: int) -> Tensor:
    """Return ``(x, y)`` of the nodes of a grid, the first at ``(0, 0)``: float64 ``[height·width, 2]``."""
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([column, row], dim=-1).view(-1, 2).double()


def resize_flat(embedding: Tensor, length: int) -> Tensor:
    """Resize ``[N, D]`` along the flattened index to ``[length, D]``: bicubic, corners not aligned."""
    rows = embedding.T[None, None]
    return F.interpolate(rows, size=(embedding.size(1), length), mode="bicubic")[0, 0].T
