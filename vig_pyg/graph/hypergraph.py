"""The hypergraph of clusters of nodes, after ViHGNN."""

from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric import EdgeIndex

from vig_pyg.checks import check_kind, check_shares, check_whole
from vig_pyg.graph.edges import compressed, edges_from_degrees
from vig_pyg.graph.padded import Part, directions, parts, sides
from vig_pyg.graph.points import Layout, PointLayout
from vig_pyg.graph.protocol import Edges, Graph, Layouts
from vig_pyg.graph.registry import register_graph
from vig_pyg.kernels import neighbor_mean
from vig_pyg.kernels.clustering import fuzzy_c_means, k_means

Method = Literal["fuzzy", "kmeans"]


@register_graph("hypergraph")
class Hypergraph(Graph):
    """Links every node to the hyperedges that it belongs to: overlapping clusters, each the mean of its nodes.

    After ViHGNN (Han et al., "Vision HGNN: An Image is More than a Graph of Nodes", 2023), whose operator is
    ``conv="hypergraph"``; any other takes the hyperedges as neighbors, too. A node belongs to the hyperedges in which
    its membership is above ``threshold``, and in any case to that in which it is largest; memberships choose, and are
    no weights. Here nothing is random, where ViHGNN draws memberships: the first centers are the node nearest to the
    graph's mean and then, in turn, the node farthest from all before it. Every graph is clustered as if it were alone.
    Distances are those of directions (1 - cosine), and the fuzzifier is near 1: with 2, as in ViHGNN, all centers
    of wide features end in one place and every membership is the same.

    Args:
        hyperedges: Of every graph, at most, and at most half as many as it has nodes.
        method: Clusters by fuzzy c-means, or by k-means, where every node belongs to one hyperedge.
        threshold: The membership above which a node belongs to a hyperedge; of no use to k-means.
        iterations: How often centers move; those of k-means stop where no node changes its cluster.
        fuzzifier: Above 1. The nearer to 1, the crisper memberships are; of no use to k-means.

    Shapes:
        - x: ``[N, C]``
        - output: ``adjacency [2, E]`` from hyperedges to nodes, ``sources [M, C]``, ``members [2, E]``
    """

    def __init__(
        self,
        hyperedges: int = 25,
        method: Method = "fuzzy",
        threshold: float = 0.01,
        iterations: int = 15,
        fuzzifier: float = 1.1,
    ) -> None:
        super().__init__()
        check_whole(hyperedges=hyperedges)
        check_whole(0, iterations=iterations)
        check_shares(threshold=threshold)
        check_kind("a number", int | float, fuzzifier=fuzzifier)
        if method not in get_args(Method):
            raise ValueError(f"method must be one of {', '.join(get_args(Method))}, got {method!r}")
        if isinstance(fuzzifier, bool) or not 1 < fuzzifier < float("inf"):
            raise ValueError(f"fuzzifier must be above 1, got {fuzzifier}")
        self.hyperedges, self.method, self.threshold = hyperedges, method, threshold
        self.iterations, self.fuzzifier = iterations, fuzzifier

    @torch.compiler.disable  # how many edges there are is a value
    def forward(self, x: Tensor, layout: Layouts | Tensor | None) -> Edges:
        """Return the edges from hyperedges to nodes, and what these are.

        Raises:
            TypeError, ValueError: nodes are no matrix of floats, or do not fit their layout.
        """
        check_kind("a matrix of nodes", Tensor, x=x)
        _, _, x, own = sides(x, layout)
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            unit = directions(x)
            incidence = _join([_incidence(self._belongs(part), part) for part in parts(unit, own, unit, own)])
        return _edges(x, own, incidence)

    def _belongs(self, part: Part) -> Tensor:
        """Return which nodes belong to which hyperedges, ``[B, N, M]``."""
        points = part.sources, part.is_source, self.hyperedges, self.iterations
        if self.method == "kmeans":
            cluster, centers, _ = k_means(*points)
            belongs = F.one_hot(cluster, centers.size(1)).bool()
        else:
            memberships = fuzzy_c_means(*points, self.fuzzifier)
            belongs = memberships > self.threshold
            belongs.scatter_(2, memberships.argmax(2, keepdim=True), True)
        return belongs & part.is_source.unsqueeze(2)

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows."""
        names = ("hyperedges", "method", "iterations", *(("threshold", "fuzzifier") if self.method == "fuzzy" else ()))
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


class Incidence(NamedTuple):
    """Which nodes belong to which hyperedges, in both orders."""

    hyperedge: Tensor
    """The hyperedges of all nodes in turn, ``[E]``."""
    degree: Tensor
    """How many of them every node has, ``[N]``."""
    node: Tensor
    """The nodes of all hyperedges in turn, ``[E]``."""
    size: Tensor
    """How many of them every hyperedge has, ``[M]``."""
    per_graph: Tensor
    """How many hyperedges every graph has, ``[B]``."""


def _incidence(belongs: Tensor, part: Part) -> Incidence:
    """Return what ``belongs [B, N, M]`` says, with hyperedges numbered within this part."""
    size = belongs.sum(1)
    used = size > 0
    number = used.flatten().cumsum(0).view_as(size) - 1
    graph, _, place = belongs.nonzero(as_tuple=True)
    of_edge, _, node = belongs.mT.nonzero(as_tuple=True)
    degree = belongs.sum(2)[part.is_target]
    return Incidence(number[graph, place], degree, node + part.first[of_edge], size[used], used.sum(1))


def _join(found: list[Incidence]) -> Incidence:
    """Return one of several parts."""
    first, hyperedge = 0, []
    for part in found:
        hyperedge.append(part.hyperedge + first)
        first += len(part.size)
    others = ([getattr(part, name) for part in found] for name in Incidence._fields[1:])
    return Incidence(torch.cat(hyperedge), *(torch.cat(values) for values in others))


def _edges(x: Tensor, layout: Layout, links: Incidence) -> Edges:
    """Return hyperedges, the means of their nodes, and their edges."""
    adjacency = _sorted(links.hyperedge, links.degree, len(links.size))
    members = _sorted(links.node, links.size, len(x))
    pos = None
    if not isinstance(layout, PointLayout) or layout.has_places:
        pos = neighbor_mean(layout.pos(x.device).to(x.dtype), *compressed(members))
    graph = torch.arange(len(links.per_graph), device=x.device)
    graph = graph.repeat_interleave(links.per_graph, output_size=len(links.size))
    return Edges(
        adjacency,
        sources=neighbor_mean(x, *compressed(members)),
        source_batch=graph,
        source_pos=pos,
        members=members,
    )


def _sorted(source: Tensor, degree: Tensor, num_sources: int) -> EdgeIndex:
    return edges_from_degrees(source, degree, num_sources, int(degree.max()))
