"""The Grapher: a graph, an operator on it, and linear layers around (paper, Eq. 6)."""

from collections.abc import Callable

from torch import Tensor, nn
from torch_geometric.typing import Adj, PairTensor

from vig_pyg.blocks.drop_path import DropPath
from vig_pyg.conv.complete import build_layer
from vig_pyg.conv.linear import Act, LinearNormAct, Norm
from vig_pyg.conv.registry import ConvFactory
from vig_pyg.graph.knn import KNNGraph
from vig_pyg.graph.layout import Grid, NodeLayout
from vig_pyg.graph.position import average_pool

Graph = Callable[..., Adj]


def graph_builder(graph: str | Graph) -> Callable[..., Graph]:
    """Return what makes the graph of a block from ``(k, dilation, **options)``.

    ``"dynamic"`` and ``"static"`` make a :class:`~vig_pyg.graph.KNNGraph`, a callable is used as it is.

    Raises:
        ValueError: another word.
    """
    if callable(graph):
        return lambda *_, **__: graph
    if graph not in ("dynamic", "static"):
        raise ValueError(f"graph must be 'dynamic', 'static' or callable, got {graph!r}")
    return KNNGraph


class Grapher(nn.Module):
    r"""Rebuilds the graph of the nodes and exchanges messages along it.

    .. math:: Y = \sigma(\mathrm{GraphConv}(X W_{in})) W_{out} + X

    (paper, Eq. 6), with norms after every map and the operator returning ``2 D`` channels. With ``pool > 1`` the
    neighbours are looked for among average-pooled nodes: the graph is bipartite, as in early pyramid stages.

    Args:
        channels: Width ``D`` of the nodes.
        graph: Called ``graph(x, layout)``, or with pairs ``(sources, targets)``; returns the edges.
        conv: A registered name, ``"module:Name"`` or factory of the operator.
        heads: Heads of the operator's update.
        pool: Side of the window that is averaged into one source.
        fc: Whether there are linear layers before and after the operator; without them it returns ``D`` channels.
        norm: As in :func:`~vig_pyg.conv.build_norm`.
        act: As in :func:`~vig_pyg.conv.build_act`.
        dropout: Share of values dropped from the branch.
        drop_path: Probability that the branch is skipped for an image (stochastic depth).

    Shapes:
        - x: ``[N, channels]`` and its layout
        - output: ``[N, channels]`` and the edges
    """

    def __init__(
        self,
        channels: int,
        graph: Graph,
        conv: str | ConvFactory = "max_relative",
        heads: int = 4,
        *,
        pool: int = 1,
        fc: bool = True,
        norm: Norm = "batch",
        act: Act = "gelu",
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.fc1 = LinearNormAct(channels, channels, norm=norm) if fc else nn.Identity()
        self.graph = graph
        self.pool = pool
        width = 2 * channels if fc else channels
        self.conv = build_layer(conv, channels, width, heads=heads, norm=norm, act=act)
        self.fc2 = LinearNormAct(width, channels, norm=norm) if fc else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, layout: NodeLayout, edge_index: Adj | None = None) -> tuple[Tensor, Adj]:
        """Return the new nodes and the edges, which are built unless given."""
        h: Tensor | PairTensor = self.fc1(x)
        layouts: NodeLayout | tuple[NodeLayout, NodeLayout] = layout
        if self.pool > 1:
            sources, source_layout = NodeLayout.join([average_pool(m, self.pool) for m in layout.maps(h)])
            h, layouts = (sources, h), (source_layout, layout)
        edges = self.graph(h, layouts) if edge_index is None else edge_index
        branch = self.dropout(self.fc2(self.conv(h, edges)))
        return x + self.drop_path(branch, layout), edges

    def source_layout(self, layout: NodeLayout) -> NodeLayout:
        """Return the layout of the nodes that neighbours are looked for among."""
        if self.pool == 1:
            return layout
        grids = [Grid(g.count, -(-g.height // self.pool), -(-g.width // self.pool)) for g in layout.grids]
        return NodeLayout(tuple(grids))
