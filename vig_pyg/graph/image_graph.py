"""The graph of one image as PyG ``Data``."""

from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.typing import Adj
from torch_geometric.utils import scatter

from vig_pyg.graph.edges import edge_list
from vig_pyg.graph.layout import NodeLayout
from vig_pyg.graph.protocol import Edges


class ImageGraph(Data):
    """``Data`` whose edges may come from a second set of nodes, at ``pos_source``: pooled ones, centroids, hyperedges.

    Without ``pos_source`` it is a plain graph. With it, ``edge_index[0]`` counts rows of ``pos_source`` and
    ``edge_index[1]`` rows of ``x``. ``edge_weight`` holds a factor per edge, where there are any, and of a hypergraph
    ``members [2, E']`` the nodes that every hyperedge is made of.
    """

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what to add to indices when graphs are batched."""
        if key in ("edge_index", "members") and "pos_source" in self:
            ends = torch.tensor([[len(self.pos_source)], [self.num_nodes]])
            return ends if key == "edge_index" else ends.flip(0)
        return super().__inc__(key, value, *args, **kwargs)

    def __cat_dim__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the axis along which values of several graphs are joined."""
        return 1 if key == "members" else super().__cat_dim__(key, value, *args, **kwargs)


def batch_graphs(
    x: Tensor,
    layout: NodeLayout,
    edges: Adj | Edges,
    image_sizes: list[tuple[int, int]],
    source_layout: NodeLayout | None = None,
) -> Batch:
    """Return the nodes and edges of a batch as a PyG ``Batch`` of :class:`ImageGraph`.

    Args:
        x: Node features ``[N, C]``.
        layout: Where they are.
        edges: What a graph returned.
        image_sizes: ``(height, width)`` of every image in pixels, for ``pos``.
        source_layout: Where the sources are, in a bipartite graph.
    """
    links = edges if isinstance(edges, Edges) else Edges(edges)
    index = edge_list(links.adjacency)
    order = index[1].argsort(stable=True)
    index, weight = index[:, order], None if links.weight is None else links.weight[order]
    targets, pos = layout.ptr(x.device), layout.pos(x.device)
    sources, pos_source = targets, None
    if links.sources is not None:
        sources, pos_source = _own_sources(links, index, pos, layout)
    elif source_layout is not None:
        sources, pos_source = source_layout.ptr(x.device), source_layout.pos(x.device)
    cuts = torch.searchsorted(index[1].contiguous(), targets)
    graphs = []
    for i, (grid, size) in enumerate(zip(layout.sizes, image_sizes, strict=True)):
        nodes, own = slice(int(targets[i]), int(targets[i + 1])), slice(int(cuts[i]), int(cuts[i + 1]))
        first = torch.stack([sources[i], targets[i]]).view(2, 1)
        spacing = _spacing(size, grid).to(pos)
        graph = ImageGraph(x=x[nodes], edge_index=index[:, own] - first, pos=pos[nodes] * spacing)
        graph.grid = torch.tensor([grid])
        if weight is not None:
            graph.edge_weight = weight[own]
        if pos_source is not None:
            if links.sources is None and source_layout is not None:
                spacing = _spacing(size, source_layout.sizes[i]).to(pos)
            graph.pos_source = pos_source[int(sources[i]) : int(sources[i + 1])] * spacing
        if links.members is not None:
            members = edge_list(links.members)
            inside = (members[0] >= targets[i]) & (members[0] < targets[i + 1])
            graph.members = members[:, inside] - first.flip(0)
        graphs.append(graph)
    return Batch.from_data_list(graphs)


def _own_sources(links: Edges, index: Tensor, pos: Tensor, layout: NodeLayout) -> tuple[Tensor, Tensor]:
    """Return where the sources of every image start and end, and their places: by default amid the nodes they link to.

    Raises:
        ValueError: it is not said which image a source is of.
    """
    if links.sources is None or links.source_batch is None:
        raise ValueError("a graph with sources of its own must say the image of each: Edges(source_batch=…)")
    count = links.source_batch.bincount(minlength=layout.num_graphs)
    place = links.source_pos
    if place is None:
        place = scatter(pos[index[1]], index[0], dim_size=len(links.sources), reduce="mean")
    return torch.nn.functional.pad(count.cumsum(0), (1, 0)), place


def _spacing(size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    return torch.tensor([size[1] / grid[1], size[0] / grid[0]])
