"""The Grapher: a graph, an operator on it, and linear layers around (paper, Eq. 6)."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch_geometric.typing import Adj, PairTensor

from vig_pyg.blocks.drop_path import DropPath
from vig_pyg.checks import check_flags, check_kind, check_shares, check_whole
from vig_pyg.conv.complete import build_layer, takes_weight
from vig_pyg.conv.linear import Act, LinearNormAct, Norm
from vig_pyg.conv.registry import ConvFactory
from vig_pyg.graph.layout import NodeLayout, check_layout
from vig_pyg.graph.pooling import average_pool, pooled_layout, windows
from vig_pyg.graph.protocol import Edges, from_windows, sorted_edges


class Grapher(nn.Module):
    r"""Rebuilds the graph of the nodes and exchanges messages along it.

    .. math:: Y = \sigma(\mathrm{GraphConv}(X W_{in})) W_{out} + X

    (paper, Eq. 6), with norms after every map and the operator returning ``2 D`` channels. With ``pool > 1`` the
    neighbors are looked for among average-pooled nodes: the graph is bipartite, as in early pyramid stages.

    Args:
        channels: Width ``D`` of the nodes.
        graph: Links the nodes, see :mod:`vig_pyg.graph.protocol`.
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
        graph: Callable[..., Adj | Edges],
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
        check_whole(channels=channels, heads=heads, pool=pool)
        check_flags(fc=fc)
        check_shares(dropout=dropout, drop_path=drop_path)
        check_kind("a module or a function, such as build_graph makes", Callable, graph=graph)
        self.fc1 = LinearNormAct(channels, channels, norm=norm) if fc else nn.Identity()
        self.graph: Any = graph
        self.pool = pool
        width = 2 * channels if fc else channels
        self.conv = build_layer(conv, channels, width, heads=heads, norm=norm, act=act)
        self.takes_weight = takes_weight(self.conv)
        self.fc2 = LinearNormAct(width, channels, norm=norm) if fc else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, layout: NodeLayout, edges: Adj | Edges | None = None) -> tuple[Tensor, Adj | Edges]:
        """Return the new nodes and the edges, which are built unless given.

        Raises:
            TypeError: the edges have weights, and the operator takes none.
        """
        check_layout(layout, x)
        h: Tensor | PairTensor = self.fc1(x)
        if self.pool > 1:
            sources, _ = NodeLayout.join([average_pool(m, self.pool) for m in layout.maps(h)])
            h = (sources, h)
        if edges is None:
            edges = self._edges(h, layout)
        branch = self.dropout(self.fc2(self._messages(h, edges)))
        return x + self.drop_path(branch, layout), edges

    def source_layout(self, layout: NodeLayout) -> NodeLayout:
        """Return the layout of the nodes that neighbors are looked for among."""
        return pooled_layout(layout, self.pool)

    def _edges(self, h: Tensor | PairTensor, layout: NodeLayout) -> Adj | Edges:
        """Return what the graph links, sorted by target; a link from a node becomes one from its pooled node."""
        source_layout = self.source_layout(layout)
        nodes = h[1] if isinstance(h, tuple) else h
        if isinstance(h, tuple) and getattr(self.graph, "bipartite", False):
            edges = self.graph(h, (source_layout, layout))
            return sorted_edges(edges, source_layout.num_nodes, layout.num_nodes, nodes.device)
        edges = sorted_edges(self.graph(nodes, layout), layout.num_nodes, layout.num_nodes, nodes.device)
        if isinstance(h, Tensor) or (isinstance(edges, Edges) and edges.sources is not None):
            return edges
        return from_windows(edges, windows(layout, self.pool, nodes.device), source_layout.num_nodes)

    def _messages(self, h: Tensor | PairTensor, edges: Adj | Edges) -> Tensor:
        """Return what the operator makes of the nodes."""
        if not isinstance(edges, Edges):
            return self.conv(h, edges)
        if edges.sources is not None:
            h = edges.sources, h[1] if isinstance(h, tuple) else h
        if edges.weight is None:
            return self.conv(h, edges.adjacency)
        if not self.takes_weight:
            raise TypeError(
                f"the graph {type(self.graph).__name__} weighs its edges, but the operator takes no edge_weight: take "
                "one that does, such as conv='gcn' or 'graph'"
            )
        return self.conv(h, edges.adjacency, edges.weight)
