"""The graph of one image as PyG ``Data``."""

from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.typing import Adj

from vig_pyg.graph.edges import edge_list
from vig_pyg.graph.layout import NodeLayout


class ImageGraph(Data):
    """``Data`` whose edges may come from a second, smaller set of nodes, at ``pos_source``.

    Without ``pos_source`` it is a plain graph. With it, ``edge_index[0]`` counts rows of ``pos_source`` and
    ``edge_index[1]`` rows of ``x``.
    """

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what to add to indices when graphs are batched."""
        if key == "edge_index" and "pos_source" in self:
            return torch.tensor([[len(self.pos_source)], [self.num_nodes]])
        return super().__inc__(key, value, *args, **kwargs)


def batch_graphs(
    x: Tensor,
    layout: NodeLayout,
    edge_index: Adj,
    image_sizes: list[tuple[int, int]],
    source_layout: NodeLayout | None = None,
) -> Batch:
    """Return the nodes and edges of a batch as a PyG ``Batch`` of :class:`ImageGraph`.

    Args:
        x: Node features ``[N, C]``.
        layout: Where they lie.
        edge_index: Edges ``[2, E]`` in any order.
        image_sizes: ``(height, width)`` of every image in pixels, for ``pos``.
        source_layout: Where the sources lie, in a bipartite graph.
    """
    edges = edge_list(edge_index)
    edges = edges[:, edges[1].argsort(stable=True)]
    targets = layout.ptr(x.device)
    sources = targets if source_layout is None else source_layout.ptr(x.device)
    cuts = torch.searchsorted(edges[1].contiguous(), targets)
    pos = layout.pos(x.device)
    pos_source = None if source_layout is None else source_layout.pos(x.device)
    graphs = []
    for i, (grid, size) in enumerate(zip(layout.sizes, image_sizes, strict=True)):
        rows = slice(int(targets[i]), int(targets[i + 1]))
        own = edges[:, int(cuts[i]) : int(cuts[i + 1])] - torch.stack([sources[i], targets[i]]).view(2, 1)
        spacing = _spacing(size, grid).to(pos)
        graph = ImageGraph(x=x[rows], edge_index=own, pos=pos[rows] * spacing, grid=torch.tensor([grid]))
        if source_layout is not None and pos_source is not None:
            spacing = _spacing(size, source_layout.sizes[i]).to(pos)
            graph.pos_source = pos_source[int(sources[i]) : int(sources[i + 1])] * spacing
        graphs.append(graph)
    return Batch.from_data_list(graphs)


def _spacing(size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    return torch.tensor([size[1] / grid[1], size[0] / grid[0]])
