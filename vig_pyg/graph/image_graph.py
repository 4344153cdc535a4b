"""The graph of one image as PyG ``Data``."""

from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.typing import Adj
from torch_geometric.utils import scatter

from vig_pyg.graph.edges import edge_list
from vig_pyg.graph.layout import NodeLayout
from vig_pyg.graph.points import Layout
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
    layout: Layout,
    edges: Adj | Edges,
    image_sizes: list[tuple[int, int]] | None = None,
    source_layout: Layout | None = None,
) -> Batch:
    """Return the nodes and edges of a batch as a PyG ``Batch`` of :class:`ImageGraph`.

    Args:
        x: Node features ``[N, C]``.
        layout: Where they are.
        edges: What a graph returned.
        image_sizes: ``(height, width)`` of every image in pixels, for ``pos`` of nodes on a grid.
        source_layout: Where the sources are, in a bipartite graph.
    """
    links = edges if isinstance(edges, Edges) else Edges(edges)
    index = edge_list(links.adjacency)
    order = index[1].argsort(stable=True)
    index = index[:, order]
    on_edges = {"edge_weight": links.weight, "edge_attr": links.attr}
    carried = {name: value[order] for name, value in on_edges.items() if value is not None}
    targets, pos = layout.ptr(x.device), _in_pixels(layout, image_sizes, x.device)
    sources: Tensor = targets
    pos_source: Tensor | None = None
    if links.sources is not None:
        sources, pos_source = _own_sources(links, index, layout, image_sizes)
    elif source_layout is not None:
        sources, pos_source = source_layout.ptr(x.device), _in_pixels(source_layout, image_sizes, x.device)
    cuts = torch.searchsorted(index[1].contiguous(), targets)
    graphs = []
    for i in range(layout.num_graphs):
        nodes, own = slice(int(targets[i]), int(targets[i + 1])), slice(int(cuts[i]), int(cuts[i + 1]))
        first = torch.stack([sources[i], targets[i]]).view(2, 1)
        graph = ImageGraph(x=x[nodes], edge_index=index[:, own] - first)
        graph.update({name: value[own] for name, value in carried.items()})
        if pos is not None:
            graph.pos = pos[nodes]
        if isinstance(layout, NodeLayout):
            graph.grid = torch.tensor([layout.sizes[i]])
        if pos_source is not None:
            graph.pos_source = pos_source[int(sources[i]) : int(sources[i + 1])]
        if links.members is not None:
            members = edge_list(links.members)
            inside = (members[0] >= targets[i]) & (members[0] < targets[i + 1])
            graph.members = members[:, inside] - first.flip(0)
        graphs.append(graph)
    return Batch.from_data_list(graphs)


def _in_pixels(layout: Layout, sizes: list[tuple[int, int]] | None, device: torch.device) -> Tensor | None:
    """Return the places of nodes, ``[N, 2]``, in pixels where they are on a grid; None where they have none."""
    if not isinstance(layout, NodeLayout):
        return layout.pos(device) if layout.has_places else None
    return layout.pos(device) * _spacing(layout, sizes, device)[layout.batch(device)]


def _spacing(layout: NodeLayout, sizes: list[tuple[int, int]] | None, device: torch.device) -> Tensor:
    """Return how many pixels apart the nodes of every image are, ``[images, 2]``."""
    assert sizes is not None
    apart = [(size[1] / grid[1], size[0] / grid[0]) for size, grid in zip(sizes, layout.sizes, strict=True)]
    return torch.tensor(apart, device=device)


def _own_sources(
    links: Edges, index: Tensor, layout: Layout, sizes: list[tuple[int, int]] | None
) -> tuple[Tensor, Tensor]:
    """Return where the sources of every image start and end, and their places: by default amid the nodes they link to.

    Raises:
        ValueError: it is not said which image a source is of.
    """
    if links.sources is None or links.source_batch is None:
        raise ValueError("a graph with sources of its own must say the image of each: Edges(source_batch=…)")
    count = links.source_batch.bincount(minlength=layout.num_graphs)
    place = links.source_pos
    if place is None:
        place = scatter(layout.pos(index.device)[index[1]], index[0], dim_size=len(links.sources), reduce="mean")
    if isinstance(layout, NodeLayout):
        place = place * _spacing(layout, sizes, index.device)[links.source_batch]
    return torch.nn.functional.pad(count.cumsum(0), (1, 0)), place
