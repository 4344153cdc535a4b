"""Where nodes are that are on no grid: points, superpixels, vertices, documents."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor
from torch_geometric.utils import scatter, segment

from vig_pyg.checks import check_kind, check_positive, check_whole
from vig_pyg.graph.checks import check_features, graph_sizes
from vig_pyg.graph.layout import NodeLayout, check_layout

BLOCK_DISTANCES = 1 << 22  # that are held at once
Made = TypeVar("Made")


class PointLayout:
    """Says of the rows of a node matrix which graph each is in and, where they have places, where it is.

    It stands beside :class:`~vig_pyg.graph.NodeLayout` for nodes without a grid: graphs, Graphers, FFNs, blocks and
    read-outs take either, or the ``batch`` vector alone.

    Args:
        batch: The graph of every node, ``[N]``, rising; None for one graph.
        pos: Its place, ``[N, D]``, or None.
        num_nodes: How many nodes there are, needed where neither says it.

    Raises:
        TypeError, ValueError: the graphs do not rise, one has no nodes, or places are not one per node and finite.
    """

    def __init__(self, batch: Tensor | None = None, pos: Tensor | None = None, num_nodes: int | None = None) -> None:
        known = batch if batch is not None else pos
        if known is None and num_nodes is None:
            raise ValueError("a layout needs the graph of every node (batch), its place (pos), or num_nodes")
        check_kind("a tensor or None", Tensor | None, batch=batch, pos=pos)
        if pos is not None:
            check_features("pos", pos, None)
        if num_nodes is not None:
            check_whole(0, num_nodes=num_nodes)
        self.num_nodes: int = num_nodes if known is None else len(known)  # type: ignore[assignment]
        if num_nodes not in (None, self.num_nodes):
            raise ValueError(f"num_nodes is {num_nodes}, but batch or pos has {self.num_nodes} rows")
        like = (
            pos if pos is not None else torch.empty(self.num_nodes, 0, device=None if batch is None else batch.device)
        )
        self.counts: list[int] = graph_sizes("batch", batch, like)
        if 0 in self.counts:
            raise ValueError(f"graph {self.counts.index(0)} has no nodes: give every graph at least one")
        self._batch, self._pos, self._device = batch, pos, like.device
        self._made: dict[Hashable, Any] = {}

    @property
    def num_graphs(self) -> int:
        """Graphs in the batch."""
        return len(self.counts)

    @property
    def has_places(self) -> bool:
        """Whether nodes have places."""
        return self._pos is not None

    @cached_property
    def _ptr(self) -> Tensor:
        return torch.tensor([0, *self.counts], device=self._device).cumsum(0)

    def ptr(self, device: torch.device | str | None = None) -> Tensor:
        """Return the first node of every graph, and the end: ``[num_graphs + 1]``."""
        return self._ptr.to(device)

    def batch(self, device: torch.device | str | None = None) -> Tensor:
        """Return the graph of every node, ``[N]``."""
        if self._batch is None:
            return torch.zeros(self.num_nodes, dtype=torch.long, device=device)
        return self._batch.long().to(device)

    def pos(self, device: torch.device | str | None = None) -> Tensor:
        """Return the place of every node as it was given, ``[N, D]``.

        Raises:
            ValueError: nodes have no places.
        """
        if self._pos is None:
            raise ValueError("the nodes have no places: give pos, or take a graph and a model that need none")
        return self._pos.to(device)

    @cached_property
    def spacing(self) -> Tensor:
        """How far a node is from the nearest other of its graph, on average, ``[num_graphs]``; 1 on a grid."""
        return torch.stack([_spacing(points) for points in self.pos().double().split(self.counts)])

    @cached_property
    def least(self) -> Tensor:
        """The least of every graph's coordinates, ``[num_graphs, D]``."""
        return scatter(self.pos().double(), self.batch(self._device), dim_size=self.num_graphs, reduce="min")

    def places(self, of: PointLayout | None = None) -> Tensor:
        """Return places as a grid counts them, in units of the spacing from :attr:`least` on: float64 ``[N, D]``.

        Args:
            of: Other nodes of the same graphs, such as pooled ones; None for these.
        """
        other = self if of is None else of
        batch = other.batch(self._device)
        return (other.pos().double() - self.least[batch]) / self.spacing[batch].unsqueeze(1)

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what follows from the layout and was made for this key, or make it: blocks of a stage share it."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def voxels(self, size: float) -> tuple[Tensor, PointLayout]:
        """Return clusters of nodes, cubes of a side of ``size`` spacings, ``[N]``, and the layout of their means.

        Raises:
            TypeError, ValueError: the size is not a finite number above 0.
        """
        check_positive(size=size)
        return self.once(("voxels", size), lambda: self._voxels(size))

    def _voxels(self, size: float) -> tuple[Tensor, PointLayout]:
        cube = (self.places() / size + 1e-6).floor().long()  # a whole number may have been rounded down
        key = torch.cat([self.batch(self._device).unsqueeze(1), cube], dim=1)
        cluster = key.unique(dim=0, return_inverse=True)[1]
        return cluster, self._of_clusters(cluster, scatter(self.pos(), cluster, reduce="mean"))

    def farthest(self, ratio: float) -> tuple[Tensor, PointLayout]:
        """Return clusters around a share of the nodes, each chosen far from those before it, and their layout.

        The first node of every graph is the first.

        Raises:
            TypeError, ValueError: the ratio is not a number above 0, up to 1.
            ModuleNotFoundError: torch_cluster is not installed.
        """
        check_positive(ratio=ratio)
        if ratio > 1:
            raise ValueError(f"ratio is a share of the nodes, at most 1, got {ratio}")
        return self.once(("farthest", ratio), lambda: self._farthest(ratio))

    def _farthest(self, ratio: float) -> tuple[Tensor, PointLayout]:
        try:
            from torch_cluster import fps, nearest
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "farthest points need the package torch_cluster: pip install --no-build-isolation torch_cluster, or "
                "take pooling='voxel'"
            ) from error
        pos, batch = self.pos(), self.batch(self._device)
        chosen = fps(pos, batch, ratio, random_start=False).sort().values
        cluster = nearest(pos, pos[chosen], batch, batch[chosen])
        return cluster, self._of_clusters(cluster, pos[chosen])

    def _of_clusters(self, cluster: Tensor, pos: Tensor) -> PointLayout:
        return PointLayout(scatter(self.batch(self._device), cluster, reduce="max"), pos)


def _spacing(points: Tensor) -> Tensor:
    """Return how far a point is from the nearest at another place, on average; 1 where there is none."""
    nearest = []
    for rows in points.split(max(1, BLOCK_DISTANCES // len(points))):
        apart = torch.cdist(rows, points, compute_mode="donot_use_mm_for_euclid_dist")
        nearest.append(apart.masked_fill(apart == 0, torch.inf).amin(1))
    apart = torch.cat(nearest)
    apart = apart[apart.isfinite()]
    return apart.mean() if len(apart) else apart.new_ones(())


Layout: TypeAlias = NodeLayout | PointLayout


def as_layout(layout: Layout | Tensor | None, x: Tensor) -> Layout:
    """Return a layout, or one of a ``batch`` vector, after checking that it is that of the nodes ``x``.

    Raises:
        TypeError: it is neither.
        ValueError: it has another number of nodes.
    """
    if isinstance(layout, NodeLayout):
        check_layout(layout, x)
        return layout
    check_kind("a tensor", Tensor, x=x)
    if isinstance(layout, Tensor):
        layout = PointLayout(layout)
    elif layout is None:
        layout = PointLayout(num_nodes=len(x))
    check_kind("a NodeLayout, a PointLayout, a batch vector or None", PointLayout, layout=layout)
    if layout.num_nodes != len(x):
        raise ValueError(f"the layout has {layout.num_nodes} nodes, but x has shape {list(x.shape)}")
    return layout


def per_graph(values: Tensor, layout: Layout, x: Tensor) -> Tensor:
    """Return nodes times a factor of their graph, ``values [num_graphs]``.

    Shapes:
        - x, output: ``[N, C]``
    """
    if isinstance(layout, PointLayout):
        return x * values[layout.batch(x.device)].unsqueeze(1)
    of_images = values.view(-1, 1, 1, 1).split([grid.count for grid in layout.grids])
    return NodeLayout.join([m * v for m, v in zip(layout.maps(x), of_images, strict=True)])[0]


def read_out(x: Tensor, layout: PointLayout, pooling: str) -> Tensor:
    """Return the mean (``"avg"``) of every graph's nodes, ``[num_graphs, C]``, their ``"max"``, or the mean of both."""
    words = {"avg": ["mean"], "max": ["max"], "avgmax": ["mean", "max"]}[pooling]
    pooled = [segment(x, layout.ptr(x.device), reduce=word) for word in words]
    return pooled[0] if len(pooled) == 1 else (pooled[0] + pooled[1]) / 2
