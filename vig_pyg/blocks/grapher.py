"""The Grapher: a graph, an operator on it, and linear layers around (paper, Eq. 6)."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch_geometric.typing import Adj, PairTensor

from vig_pyg.blocks.conditional_position import ConditionalPosition
from vig_pyg.blocks.drop_path import DropPath
from vig_pyg.blocks.layer_scale import folded_scale, scale_of
from vig_pyg.checks import check_flags, check_kind, check_shares, check_whole
from vig_pyg.conv.complete import asked_of_edges, build_layer
from vig_pyg.conv.linear import Act, LinearNormAct, Norm
from vig_pyg.conv.registry import ConvFactory
from vig_pyg.graph.points import Layout, as_layout
from vig_pyg.graph.pooling import pooled_layout, pooled_nodes, windows
from vig_pyg.graph.protocol import Edges, from_windows, sorted_edges

EXAMPLES = {"edge_weight": "max_relative", "edge_attr": "torch_geometric.nn:GATv2Conv"}


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
        conv_options: What else the operator takes, by name.
        pool: Side of the window that is averaged into one source.
        fc: Whether there are linear layers before and after the operator; without them it returns ``D`` channels.
        expansion: The operator returns ``expansion · D`` channels where there are such layers.
        cpe: Side of the window of a conditional position before everything else in the branch; None for none.
        norm: As in :func:`~vig_pyg.conv.build_norm`.
        act: As in :func:`~vig_pyg.conv.build_act`.
        dropout: Share of values dropped from the branch.
        drop_path: Probability that the branch is skipped for an image (stochastic depth).
        layer_scale: What a scale per channel of the branch starts from; None for no scale.

    Shapes:
        - x: ``[N, channels]`` and its layout, or ``batch`` vector
        - output: ``[N, channels]`` and the edges
    """

    def __init__(
        self,
        channels: int,
        graph: Callable[..., Adj | Edges],
        conv: str | ConvFactory = "max_relative",
        heads: int = 4,
        *,
        conv_options: Mapping[str, Any] | None = None,
        pool: int = 1,
        fc: bool = True,
        expansion: int = 2,
        cpe: int | None = None,
        norm: Norm = "batch",
        act: Act = "gelu",
        dropout: float = 0.0,
        drop_path: float = 0.0,
        layer_scale: float | None = None,
    ) -> None:
        super().__init__()
        check_whole(channels=channels, heads=heads, pool=pool, expansion=expansion)
        check_flags(fc=fc)
        check_shares(dropout=dropout, drop_path=drop_path)
        check_kind("a module or a function, such as build_graph makes", Callable, graph=graph)
        self.cpe = None if cpe is None else ConditionalPosition(channels, cpe)
        self.fc1 = LinearNormAct(channels, channels, norm=norm) if fc else nn.Identity()
        self.graph: Any = graph
        self.pool = pool
        width = expansion * channels if fc else channels
        self.conv = build_layer(conv, channels, width, heads=heads, norm=norm, act=act, **(conv_options or {}))
        self.asks_for = asked_of_edges(self.conv)
        self.fc2 = LinearNormAct(width, channels, norm=norm) if fc else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.layer_scale = scale_of(channels, layer_scale)
        self.drop_path = DropPath(drop_path)

    def reparameterize(self) -> None:
        """Fold the scale into the last map, for inference."""
        self.layer_scale = folded_scale(self.fc2, self.layer_scale)

    def forward(
        self, x: Tensor, layout: Layout | Tensor | None, edges: Adj | Edges | None = None
    ) -> tuple[Tensor, Adj | Edges]:
        """Return the new nodes and the edges, which are built unless given.

        Raises:
            TypeError: the edges have weights, and the operator takes none.
        """
        layout = as_layout(layout, x)
        h: Tensor | PairTensor = self.fc1(x if self.cpe is None else self.cpe(x, layout))
        if self.pool > 1:
            h = (pooled_nodes(h, layout, self.pool), h)
        if edges is None:
            edges = self._edges(h, layout)
        branch = self.layer_scale(self.dropout(self.fc2(self._messages(h, edges, layout))))
        return x + self.drop_path(branch, layout), edges

    def source_layout(self, layout: Layout) -> Layout:
        """Return the layout of the nodes that neighbors are looked for among."""
        return pooled_layout(layout, self.pool)

    def _edges(self, h: Tensor | PairTensor, layout: Layout) -> Adj | Edges:
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

    def _messages(self, h: Tensor | PairTensor, edges: Adj | Edges, layout: Layout) -> Tensor:
        """Return what the operator makes of the nodes, called with what it asks for beyond nodes and edges."""
        links = edges if isinstance(edges, Edges) else Edges(edges)
        if links.sources is not None:
            h = links.sources, h[1] if isinstance(h, tuple) else h
        given: dict[str, Any] = {"edge_weight": links.weight, "edge_attr": links.attr}
        for name, value in given.items():
            if value is not None and name not in self.asks_for:
                raise TypeError(
                    f"the graph {type(self.graph).__name__} gives its edges {name}, but the operator takes none: take "
                    f"one that does, such as conv={EXAMPLES[name]!r}"
                )
        if "pos" in self.asks_for:
            given["pos"] = self._places(h, links, layout)
        if "k" in self.asks_for:
            given["k"] = getattr(self.graph, "k", None)
        return self.conv(h, links.adjacency, **{name: value for name, value in given.items() if value is not None})

    def _places(self, h: Tensor | PairTensor, links: Edges, layout: Layout) -> Tensor | PairTensor:
        """Return the places of nodes, or of sources and targets."""
        nodes = h[1] if isinstance(h, tuple) else h
        pos = layout.pos(nodes.device).to(nodes.dtype)
        if isinstance(h, Tensor):
            return pos
        if links.sources is None:
            return self.source_layout(layout).pos(nodes.device).to(nodes.dtype), pos
        if links.source_pos is None:
            raise ValueError("the operator asks for pos, but the graph's own sources have none: Edges(source_pos=…)")
        return links.source_pos, pos
