"""The graph of nearest neighbors within clusters, after ClusterViG."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric import EdgeIndex

from vig_pyg.checks import check_whole
from vig_pyg.graph.edges import edges_from_degrees
from vig_pyg.graph.nearest import nearest
from vig_pyg.graph.padded import Part, directions, parts, sides
from vig_pyg.graph.protocol import Graph, Layouts, Nodes
from vig_pyg.graph.registry import register_graph
from vig_pyg.kernels.clustering import k_means, nearest_center

FAR = -4.0  # added to the inner product with a node of another cluster; those of unit vectors are between -1 and 1


@register_graph("cluster")
class ClusterGraph(Graph):
    """Links every node to its k nearest within its cluster, itself among them: k-means of features.

    After ClusterViG (Parikh et al., 2025, arXiv 2501.10640). Features of length one are clustered graph by graph, by
    k-means whose first centers are the node nearest to the graph's mean and then, in turn, the node farthest from all
    centers before it. So nothing is random, where ClusterViG draws two starts, and there is no network on the
    centroids. A node has fewer neighbors where its cluster has fewer nodes. Among pooled nodes, these are clustered,
    and every node chooses from the cluster whose center is nearest to it.

    Args:
        k: Neighbors of every node at most.
        clusters: Of every graph, at most, and at most half as many as it has nodes.
        iterations: How often centers move at most; they stop where no node changes its cluster.

    Shapes:
        - x: ``[N, C]`` or ``([M, C], [N, C])``
        - output: edges ``[2, E]``, sorted by target and then by distance
    """

    bipartite = True

    def __init__(self, k: int = 9, clusters: int = 4, iterations: int = 25) -> None:
        super().__init__()
        check_whole(k=k, clusters=clusters)
        check_whole(0, iterations=iterations)
        self.k, self.clusters, self.iterations = k, clusters, iterations

    @torch.compiler.disable  # how many edges there are is a value
    @torch.no_grad()
    def forward(self, x: Nodes, layout: Layouts | Tensor | None) -> EdgeIndex:
        """Return the edges.

        Raises:
            TypeError, ValueError: nodes are no matrix of floats, or do not fit their layout.
        """
        sources, source_layout, targets, target_layout = sides(x, layout)
        keys = directions(sources)
        queries = keys if targets is sources else directions(targets)
        with torch.autocast(keys.device.type, enabled=False):
            found = [self._neighbors(part) for part in parts(keys, source_layout, queries, target_layout)]
        source, degree = (torch.cat(values) for values in zip(*found, strict=True))
        return edges_from_degrees(source, degree, len(sources), self.k)

    def _neighbors(self, part: Part) -> tuple[Tensor, Tensor]:
        """Return the sources of all edges and the degree of every target."""
        cluster, centers, size = k_means(part.sources, part.is_source, self.clusters, self.iterations)
        own = cluster if part.targets is part.sources else nearest_center(part.targets, centers, size > 0)
        count = centers.size(1)
        place = F.one_hot(cluster.masked_fill(~part.is_source, count), count + 1)
        away = FAR * (1 - F.one_hot(own, count + 1))
        keys = torch.cat([part.sources, place.to(part.sources.dtype)], 2)
        queries = torch.cat([part.targets, away.to(part.targets.dtype)], 2)
        most = min(self.k, keys.size(1))
        found = nearest(queries, keys, most, 1, unit=True, channels=part.sources.size(2))
        degree = size.gather(1, own).clamp(max=most)
        inside = torch.arange(most, device=found.device) < (degree * part.is_target).unsqueeze(2)
        return (found + part.first.view(-1, 1, 1))[inside], degree[part.is_target]

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows."""
        return f"k={self.k}, clusters={self.clusters}, iterations={self.iterations}"
