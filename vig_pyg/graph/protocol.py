r"""What a graph is: the protocol between a :class:`~vig_pyg.blocks.Grapher` and whatever links its nodes.

A graph is called with nodes ``x [N, C]`` and their :class:`~vig_pyg.graph.NodeLayout`, ``graph(x, layout)``; nodes
without a grid have a :class:`~vig_pyg.graph.PointLayout`, which answers ``batch``, ``ptr`` and ``pos`` as well. It
returns

- any PyG adjacency from sources to targets: an edge list ``[2, E]`` (source first) in any order, or, without sorting,
  an :class:`~torch_geometric.EdgeIndex` sorted by target (:func:`~vig_pyg.graph.edges_from_neighbors` makes one). A
  target may have any number of neighbors, itself among them or not;
- or :class:`Edges`: an adjacency with a weight or features per edge, or with sources of its own that are no nodes,
  such as centroids or hyperedges.

Where a stage of a pyramid looks for neighbors among pooled nodes, a link from a node becomes one from the pooled node
that it is part of. A graph with ``bipartite = True`` chooses among the pooled nodes itself: there it is called with two
pairs, ``graph((sources, targets), (source_layout, target_layout))``.

A graph that is an ``nn.Module`` may have parameters, which a model then trains. One that does not look at features
derives from :class:`LayoutGraph`, and is made once per layout.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_geometric import EdgeIndex
from torch_geometric.typing import Adj, PairTensor
from torch_geometric.utils import is_sparse

from vig_pyg.graph.edges import check_edge_list, compressed, edges_from_list
from vig_pyg.graph.layout import NodeLayout, check_layout
from vig_pyg.graph.points import Layout
from vig_pyg.graph.pyg_internals import sorted_edge_index
from vig_pyg.graph.recent import Recent
from vig_pyg.kernels.reduce import targets_of_edges

Nodes: TypeAlias = Tensor | PairTensor
Layouts: TypeAlias = Layout | tuple[Layout, Layout]

KEPT_LAYOUTS = 8


class Edges(NamedTuple):
    """What a graph returns where an adjacency does not say all."""

    adjacency: Adj
    """From sources to targets."""
    weight: Tensor | None = None
    """A factor per edge, ``[E]``, in the adjacency's order; may carry a gradient. For operators that take one."""
    attr: Tensor | None = None
    """Features per edge, ``[E, D]``, likewise, as ``edge_attr``."""
    sources: Tensor | None = None
    """Features ``[M, C]`` of sources that are no nodes: ``adjacency[0]`` counts their rows."""
    source_batch: Tensor | None = None
    """The image of every such source, ``[M]``, rising."""
    source_pos: Tensor | None = None
    """Its place ``(x, y)``, ``[M, 2]``, in units of the node spacing, for pictures."""
    members: Adj | None = None
    """Of a hypergraph, from nodes to hyperedges: which nodes a source is made of."""


class Graph(nn.Module):
    """Links nodes, see this module.

    Args of a registered graph's constructor: ``k`` neighbors and ``dilation``, each where it has a use for it, then
    options.
    """

    bipartite = False
    """It chooses among pooled nodes itself."""
    static = False
    """The edges of the first block at a resolution, or of the ``Batch``, serve all blocks there."""

    @abstractmethod
    def forward(self, x: Nodes, layout: Layouts) -> Adj | Edges:
        """Return the edges."""

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in ("k", "dilation") if hasattr(self, name))


class LayoutGraph(Graph):
    """A graph that depends on the layout alone: made once per layout and device, and kept for the last few."""

    def __init__(self) -> None:
        super().__init__()
        self.recent: Recent[EdgeIndex] = Recent(KEPT_LAYOUTS)

    @abstractmethod
    def links(self, targets: tuple[int, int], sources: tuple[int, int]) -> NDArray[np.int64]:
        """Return the edges of one image, ``[2, E]``, source first, in any order.

        It computes with NumPy, so that the edges are constants wherever a model is traced or compiled.

        Args:
            targets: Rows and columns of the nodes.
            sources: Those of the nodes that neighbors are chosen from: the same, or, if ``bipartite``, pooled ones.
        """

    def forward(self, x: Nodes, layout: Layouts) -> EdgeIndex:
        """Return the edges, sorted by target."""
        sources, targets = layout if isinstance(layout, tuple) else (layout, layout)
        nodes = x[1] if isinstance(x, tuple) else x
        if not (isinstance(sources, NodeLayout) and isinstance(targets, NodeLayout)):
            raise TypeError(f"{type(self).__name__} links places of a grid, and these nodes have none: take 'knn'")
        check_layout(targets, nodes)
        key = sources, targets, nodes.device
        return self.recent.get(key, nodes, lambda: self._repeated(*key))

    def _repeated(self, sources: NodeLayout, targets: NodeLayout, device: torch.device) -> EdgeIndex:
        """Return the edges of all images."""
        found, degrees, largest, first = [], [], 0, torch.zeros(2, 1, 1, dtype=torch.long, device=device)
        for source, target in zip(sources.grids, targets.grids, strict=True):
            # A compiler takes a length for a constant.
            sides = [len(range(side)) for side in (target.height, target.width, source.height, source.width)]
            links, degree, most = self._of_image(*sides)
            step = torch.tensor([source.nodes, target.nodes], device=device).view(2, 1, 1)
            image = torch.arange(target.count, device=device).view(1, -1, 1)
            found.append((links.to(device).unsqueeze(1) + first + step * image).flatten(1))
            degrees.append(degree.to(device).repeat(target.count))
            first, largest = first + step * target.count, max(largest, most)
        ptr = nn.functional.pad(torch.cat(degrees).cumsum(0), (1, 0))
        return sorted_edge_index(torch.cat(found, 1), (sources.num_nodes, targets.num_nodes), ptr, largest)

    @torch.compiler.assume_constant_result
    def _of_image(self, height: int, width: int, source_height: int, source_width: int) -> tuple[Tensor, Tensor, int]:
        """Return the edges of one image, sorted by target, the degree of every node, and the largest."""
        links = self.links((height, width), (source_height, source_width))
        links = links[:, links[1].argsort(kind="stable")]
        degree = np.bincount(links[1], minlength=height * width)
        return torch.from_numpy(links), torch.from_numpy(degree), int(degree.max())


def links_from_neighbors(neighbors: NDArray[np.int64], k: int, sources: tuple[int, int]) -> NDArray[np.int64]:
    """Return the links of one image, ``[2, N · k]``, from the neighbors ``[N, k]`` of its nodes.

    Raises:
        ValueError: there are fewer sources, in so many rows and columns, than neighbors.
    """
    if neighbors.shape[1] < k:
        raise ValueError(
            f"k={k} neighbors need at least {k} nodes, but a grid of {sources[0]}×{sources[1]} has "
            f"{sources[0] * sources[1]}: use larger images or a smaller k"
        )
    return np.stack([neighbors.ravel(), np.repeat(np.arange(len(neighbors)), k)])


def sorted_edges(edges: Adj | Edges, num_sources: int, num_targets: int, device: torch.device) -> Adj | Edges:
    """Return what a graph returned with its adjacency as operators want it: a plain edge list sorted by target.

    Raises:
        TypeError: a graph returned something else than an adjacency.
        ValueError: an edge points outside, or there is another number of weights than of edges.
    """
    adjacency = edges.adjacency if isinstance(edges, Edges) else edges
    if not is_sparse(adjacency) and not isinstance(adjacency, EdgeIndex):
        check_edge_list(adjacency, device)
    if isinstance(edges, Edges) and edges.sources is not None:
        num_sources = len(edges.sources)
    if type(adjacency) is not Tensor or is_sparse(adjacency):
        return edges
    in_order = edges_from_list(adjacency, num_sources, num_targets)
    if not isinstance(edges, Edges):
        return in_order
    carried = {"weight": edges.weight, "attr": edges.attr}
    for name, values in carried.items():
        if values is not None:
            if len(values) != adjacency.size(1):
                what = "weights" if name == "weight" else "rows of features"
                raise ValueError(f"there are {adjacency.size(1)} edges but {len(values)} {what}")
            carried[name] = values[adjacency[1].argsort(stable=True)]
    return edges._replace(adjacency=in_order, **carried)


def from_windows(edges: Adj | Edges, window: Tensor, num_sources: int) -> Adj | Edges:
    """Return edges whose sources are not nodes but the pooled nodes that these are averaged into, one for each.

    Args:
        edges: From nodes to nodes, sorted by target.
        window: The pooled node of every node, ``[N]``.
        num_sources: How many pooled nodes there are.
    """
    adjacency = edges.adjacency if isinstance(edges, Edges) else edges
    ptr, index, max_degree = compressed(adjacency)
    targets = targets_of_edges(ptr, index.numel())
    pooled = sorted_edge_index(torch.stack([window[index], targets]), (num_sources, window.size(0)), ptr, max_degree)
    return edges._replace(adjacency=pooled) if isinstance(edges, Edges) else pooled
