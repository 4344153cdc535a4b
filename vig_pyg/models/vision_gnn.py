"""What ViG and Pyramid ViG share: they differ only in how their blocks are set up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.typing import Adj

from vig_pyg.blocks import Block, ConvStem, Head, NodeStem, PatchStem, checkpointed, pool_nodes
from vig_pyg.blocks.head import known_pool
from vig_pyg.checks import check_flags, check_kind
from vig_pyg.graph.image_graph import batch_graphs
from vig_pyg.graph.layout import NodeLayout, maps_of, nodes_of
from vig_pyg.graph.points import Layout
from vig_pyg.graph.protocol import Edges, sorted_edges
from vig_pyg.models.inputs import Inputs, read_inputs
from vig_pyg.models.node_inputs import read_nodes
from vig_pyg.models.timm_interface import TimmInterface

Readout: TypeAlias = Literal["mean", "accumulated", "nodes"]
READOUTS = get_args(Readout)


class VisionGNN(TimmInterface):
    """Stem, positions, blocks and head, called with images ``[B, C, H, W]`` or a PyG ``Batch``.

    A ``Batch`` holds images of any sizes as pixels (:func:`vig_pyg.image_data`) or, with ``stem="patch"``, patch
    graphs (:class:`vig_pyg.PatchGraph`). Nodes of all images are rows of one matrix; a
    :class:`~vig_pyg.graph.NodeLayout` beside it says where each is. With ``stem="nodes"`` a model takes nodes that are
    on no grid, ``Data(x, pos, batch)`` of superpixels, points or documents, and there are no images and feature maps.

    Args:
        stem: Turns pixels into nodes; has ``stride``.
        blocks: :class:`~vig_pyg.blocks.Block` and :class:`~vig_pyg.blocks.Downsample` in turn.
        head: From an image's features to logits.
        grid: ``(height, width)`` in nodes after the stem, of the images that the model is made for; None without grid,
            or where no positions are added to nodes.
        out_indices: The blocks after which a feature map is offered (``features_only``).
        in_chans: Channels of the images.
        channels: Width after the stem and after the last block.
        readout: Pool the last nodes (``"mean"``), or the sum of the nodes after the stem and after every block
            (``"accumulated"``); ``"nodes"`` pools nothing: the head gives the logits of every node.
        global_pool: ``"avg"``, ``"max"``, ``"avgmax"`` (the mean of both), or ``""`` to return the feature map itself.

    For hooks, Grad-CAM and captum, feature maps ``[B, C, h, w]`` pass unchanged through ``feature_maps``, one for each
    of ``feature_info``, and what the head pools through ``last_map``. A batch of images of several sizes has none.
    """

    def __init__(
        self,
        stem: ConvStem | PatchStem | NodeStem,
        blocks: Sequence[nn.Module],
        head: Head,
        *,
        grid: tuple[int, int] | None,
        out_indices: Sequence[int],
        in_chans: int,
        channels: tuple[int, int],
        readout: Readout = "mean",
        global_pool: str = "avg",
    ) -> None:
        super().__init__()
        if readout not in READOUTS:
            raise ValueError(f"readout must be one of {', '.join(map(repr, READOUTS))}, got {readout!r}")
        self.in_chans = in_chans
        self.stem = stem
        self.stem_width = channels[0]
        self.pos_embed = None if grid is None else nn.Parameter(torch.zeros(1, channels[0], *grid))
        self.blocks = nn.ModuleList(blocks)
        self.head = head
        self.readout = readout
        graphs = [layer.grapher.graph for layer in blocks if isinstance(layer, Block)]
        self.static = any(getattr(graph, "static", False) for graph in graphs)
        self.global_pool = known_pool(global_pool, "")
        self.grad_checkpointing = False
        self.out_indices = list(out_indices)
        self.num_classes = getattr(head.fc2, "out_features", 0)
        self.num_features = channels[1]
        if self.num_classes == 0:
            head.prune(self.num_features)
        self.feature_info = self._list_features()
        self.feature_maps = nn.ModuleList(nn.Identity() for _ in self.out_indices)
        self.last_map = nn.Identity()

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the logits ``[B, num_classes]`` of images ``[B, C, H, W]`` or of a PyG ``Batch``; with
        ``readout="nodes"`` those of every node, ``[N, num_classes]``.

        Raises:
            ValueError: the images have another rank or number of channels, or are too small.
            TypeError: they are not floating point numbers.
        """
        if isinstance(inputs, Tensor):
            return self.forward_head(self.forward_features(inputs))
        return self._logits(*self._nodes(inputs))  # images of several sizes have no map

    def forward_features(self, inputs: Tensor) -> Tensor:
        """Return the feature map ``[B, num_features, h, w]`` after the last block."""
        return _as_map(*self._nodes(inputs))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the logits of a feature map, or with ``pre_logits`` what goes into the classifier."""
        if not isinstance(x, Tensor) or x.dim() != 4 or x.size(1) != self.num_features:
            got = list(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"a feature map must have shape [B, {self.num_features}, h, w], got {got}")
        if x.size(0) == 0 or not x.is_floating_point():
            raise ValueError(f"there must be at least one feature map of floats, got {x.size(0)} of {x.dtype}")
        return self._logits(*nodes_of([x]), pre_logits)

    def forward_graphs(self, inputs: Inputs) -> tuple[Tensor, list[Batch]]:
        """Return the logits and, for every block, its nodes and edges as a PyG ``Batch``.

        Each has ``x`` (after the block), ``pos`` (pixels), ``edge_index``, ``batch``; blocks whose sources are
        pooled also have ``pos_source``, see :class:`~vig_pyg.graph.ImageGraph`.
        """
        pixels, layout = self._read(inputs)
        steps = self._steps(pixels, layout, self._given_edges(inputs))
        sizes = None
        if isinstance(layout, NodeLayout):
            sizes = [self._covered(*size, patches=pixels.size(1) != self.in_chans) for size in layout.sizes]
        graphs = []
        for layer, x, total, layout, edges in steps:  # noqa: B007
            if isinstance(layer, Block):
                sources = layer.grapher.source_layout(layout)
                graphs.append(batch_graphs(x, layout, edges, sizes, None if sources is layout else sources))
        return self._logits(total, layout), graphs

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Return feature maps from inside, as timm's models do.

        Args:
            x: Images.
            indices: Which of ``feature_info`` to return: the last n, a list, or all.
            norm: Accepted and ignored: there is no final norm.
            stop_early: Skip the blocks after the last wanted map.
            output_fmt: ``"NCHW"`` only.
            intermediates_only: Leave out the final feature map.

        Raises:
            TypeError, ValueError: another ``output_fmt``, or there are no such maps.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt must be 'NCHW', got {output_fmt!r}")
        check_flags(norm=norm, stop_early=stop_early, intermediates_only=intermediates_only)
        check_kind("a tensor", Tensor, x=x)
        wanted, last = self._wanted(indices)
        wanted_blocks, last_block = {self.out_indices[i] for i in wanted}, self.out_indices[last]
        maps = []
        steps = self._steps(*self._read(x), self._given_edges(x))
        for step, (_, nodes, total, layout, _) in enumerate(steps):  # noqa: B007
            if step - 1 in wanted_blocks:  # step 0 is the stem
                maps.append(_as_map(nodes, layout))
            if stop_early and step - 1 == last_block:
                break
        return maps if intermediates_only else (_as_map(total, layout), maps)

    def _nodes(self, inputs: Inputs) -> tuple[Tensor, Layout]:
        for _, _, total, layout, _ in self._steps(*self._read(inputs), self._given_edges(inputs)):  # noqa: B007
            pass
        return total, layout

    def _logits(self, x: Tensor, layout: Layout, pre_logits: bool = False) -> Tensor:
        if self.readout == "nodes":
            return self.head(x, pre_logits)
        if not self.global_pool:
            return _as_map(x, layout)
        return self.head(pool_nodes(x, layout, self.global_pool), pre_logits)

    def _given_edges(self, inputs: Inputs) -> Adj | Edges | None:
        """Return the edges of a batch where they are wanted; pooled sources are other nodes than theirs."""
        if not self.static or isinstance(inputs, Tensor) or inputs.edge_index is None:
            return None
        first: Any = self.blocks[0]
        of_pixels = not isinstance(self.stem, NodeStem) and inputs.x.size(1) == self.in_chans
        if of_pixels or first.grapher.pool > 1:  # edges to other nodes
            return None
        attr = inputs.edge_attr if "edge_attr" in first.grapher.asks_for else None
        edges = Edges(inputs.edge_index, inputs.get("edge_weight"), attr)
        nodes = inputs.pos if inputs.x is None else inputs.x  # places are features where there are no others
        return sorted_edges(edges, inputs.num_nodes, inputs.num_nodes, nodes.device)

    def _covered(self, height: int, width: int, patches: bool) -> tuple[int, int]:
        """Return how many pixels the nodes of an image cover: patches leave out what is left at the border."""
        stride = self.stem.stride
        if patches:
            return height * stride, width * stride
        assert not isinstance(self.stem, NodeStem)
        rows, columns = self.stem.grid(height, width)
        return min(height, rows * stride), min(width, columns * stride)

    def _steps(
        self, x: Tensor, layout: Layout, edges: Adj | Edges | None = None
    ) -> Iterator[tuple[nn.Module, Tensor, Tensor, Layout, Adj | Edges | None]]:
        """Yield every layer, beginning with the stem, with its nodes, what the head would take, layout and edges."""
        x, layout = self.stem(x, layout)
        total = x = x + self._positions(layout) if isinstance(layout, NodeLayout) and self.pos_embed is not None else x
        yield self.stem, x, total, layout, None
        for index, layer in enumerate(self.blocks):
            given = edges if self.static else None
            if self.grad_checkpointing and torch.is_grad_enabled():
                x, layout, edges = checkpointed(layer, x, layout, given)
            else:
                x, layout, edges = layer(x, layout, given)
            if index in self.out_indices:
                x = _through(self.feature_maps[self.out_indices.index(index)], x, layout)
            # The mean is linear: to pool the sum is to sum what is pooled. A new width starts anew.
            total = total + x if self.readout == "accumulated" and total.shape == x.shape else x
            if index == len(self.blocks) - 1:
                total = _through(self.last_map, total, layout)
            yield layer, x, total, layout, edges

    def _positions(self, layout: NodeLayout) -> Tensor:
        positions = []
        for grid in layout.grids:
            assert self.pos_embed is not None
            table: Tensor = self.pos_embed
            if table.shape[2:] != (size := (grid.height, grid.width)):
                table = F.interpolate(table, size=size, mode="bicubic", antialias=True)
            nodes = table.permute(0, 2, 3, 1).reshape(grid.nodes, -1)
            positions.append(nodes.repeat(grid.count, 1))
        return positions[0] if len(positions) == 1 else torch.cat(positions)

    def _read(self, inputs: Inputs) -> tuple[Tensor, Layout]:
        if isinstance(self.stem, NodeStem):
            return read_nodes(inputs, self.in_chans, self.stem.pos_dim, self.like)
        return read_inputs(inputs, self.in_chans, self.stem, self.like)


def _through(module: nn.Module, x: Tensor, layout: Layout) -> Tensor:
    if not isinstance(layout, NodeLayout) or len(layout.grids) > 1:  # images of several sizes have no common map
        return x
    return nodes_of([module(_as_map(x, layout))])[0]


def _as_map(x: Tensor, layout: Layout) -> Tensor:
    if not isinstance(layout, NodeLayout):
        raise TypeError("nodes without a grid have no feature map: call the model, or forward_graphs")
    if len(layout.grids) != 1:
        raise ValueError("images of different sizes have no common feature map: call the model, or forward_graphs")
    return maps_of(x, layout)[0]
