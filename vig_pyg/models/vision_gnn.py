"""What ViG and Pyramid ViG share: they differ only in how their blocks are set up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal

import torch
import torch.nn.functional as F
from timm.layers import calculate_drop_path_rates, to_2tuple
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.typing import Adj

from vig_pyg.blocks import FFN, Block, Downsample, Grapher, Head, build_stem, checkpointed, pool_nodes
from vig_pyg.blocks.head import known_pool
from vig_pyg.checks import check_flags, check_kind, check_shares, check_size, check_whole
from vig_pyg.conv.linear import Act, Norm
from vig_pyg.conv.registry import ConvFactory
from vig_pyg.graph.edges import check_edge_list, edges_from_list
from vig_pyg.graph.image_graph import batch_graphs
from vig_pyg.graph.layout import NodeLayout, maps_of, nodes_of
from vig_pyg.graph.position import RelativePosition
from vig_pyg.graph.registry import GraphLike, build_graph
from vig_pyg.models.inputs import Inputs, read_inputs
from vig_pyg.models.schedule import Stage, given_options, growing_dilation, linear_steps, per_block
from vig_pyg.models.timm_interface import TimmInterface


class VisionGNN(TimmInterface):
    """Stem, positions, blocks and head, called with images ``[B, C, H, W]`` or a PyG ``Batch``.

    A ``Batch`` holds images of any sizes as pixels (:func:`vig_pyg.image_data`) or, with ``stem="patch"``, patch
    graphs (:class:`vig_pyg.PatchGraph`). Nodes of all images are rows of one matrix; a
    :class:`~vig_pyg.graph.NodeLayout` beside it says where each is.

    For hooks, Grad-CAM and captum, feature maps ``[B, C, h, w]`` pass unchanged through ``feature_maps``, one for each
    of ``feature_info``, and what the head pools through ``last_map``. A batch of images of several sizes has none.

    Args:
        stages: Width, number of blocks and sources of every stage; what :class:`~vig_pyg.ViG` and
            :class:`~vig_pyg.PyramidViG` make of their own arguments.
        img_size: Size of the images it is made for; others work too, with positions interpolated.
        in_chans: Channels of the images.
        num_classes: Number of classes; 0 makes no head: the pooled features are returned.
        stride: Side in pixels of what becomes one node of the first stage.
        conv: Operator: a registered name (:func:`vig_pyg.list_convs`), ``"module:Name"`` or a factory.
        k: Neighbors: one number, or one per block; None for ``nearest``.
        dilation: One number, or one per block; None for ``min(l // 4 + 1, most_dilated)`` in block ``l``.
        heads: Heads of the operator's update (paper, Eq. 5).
        graph: A registered name (:func:`vig_pyg.list_graphs`), ``"module:Name"``, a class, factory, function or
            module, see :mod:`vig_pyg.graph.protocol`. ``"knn"`` is rebuilt in every block; ``"static"`` is built once,
            or takes the edges of the ``Batch``.
        graph_options: More keywords of the graph.
        grapher_fc: Linear layers around the operator (paper, Table 7).
        ffn: An FFN after every Grapher (paper, Table 7).
        norm: ``"batch"``, ``"layer"`` or a factory ``channels -> module``.
        act: An activation of timm's by name, or a factory.
        stem: ``"conv"``, or ``"patch"`` for patches and one linear layer.
        readout: ``"mean"`` of the last nodes, or ``"accumulated"``: of the sum of the nodes after the stem and after
            every block, in a pyramid of the last stage.
        stochastic: Draw random ones of the ``k·dilation`` neighbors in training, with probability ``epsilon``.
        epsilon: That probability.
        drop_rate: Dropout before the classifier.
        dropout: Dropout after every Grapher and FFN.
        drop_path_rate: Stochastic depth of the last block; rises linearly from zero.
        global_pool: ``"avg"``, ``"max"``, ``"avgmax"`` (the mean of both), or ``""`` to return the feature map itself.

    Raises:
        ValueError: an option has no such value, or does not fit the others.
    """

    isotropic: bool  # one stage, whose blocks all offer a feature map
    nearest: tuple[int, int]  # how many neighbors, in the first block and in the last
    most_dilated: int

    def __init__(
        self,
        stages: Sequence[Stage],
        img_size: int | tuple[int, int] = 224,
        in_chans: int = 3,
        num_classes: int = 1000,
        *,
        stride: int,
        conv: str | ConvFactory = "max_relative",
        k: int | Sequence[int] | None = None,
        dilation: int | Sequence[int] | None = None,
        heads: int = 4,
        graph: GraphLike = "knn",
        graph_options: Mapping[str, Any] | None = None,
        grapher_fc: bool = True,
        ffn: bool = True,
        norm: Norm = "batch",
        act: Act = "gelu",
        stem: Literal["conv", "patch"] = "conv",
        readout: Literal["mean", "accumulated"] = "mean",
        stochastic: bool = False,
        epsilon: float = 0.2,
        drop_rate: float = 0.0,
        dropout: float = 0.0,
        drop_path_rate: float = 0.0,
        global_pool: str = "avg",
    ) -> None:
        super().__init__()
        check_size(img_size=img_size)
        check_whole(in_chans=in_chans, stride=stride, heads=heads)
        check_flags(grapher_fc=grapher_fc, ffn=ffn)
        check_shares(drop_rate=drop_rate, dropout=dropout, drop_path_rate=drop_path_rate)
        if readout not in ("mean", "accumulated"):
            raise ValueError(f"readout must be 'mean' or 'accumulated', got {readout!r}")
        shared = given_options(graph, graph_options, k, dilation, stochastic)
        depth, width = sum(stage.depth for stage in stages), stages[-1].channels
        ks = per_block("k", linear_steps(*self.nearest, depth) if k is None else k, depth)
        dilation = growing_dilation(depth, self.most_dilated) if dilation is None else dilation
        numbers = zip(
            ks, per_block("dilation", dilation, depth), calculate_drop_path_rates(drop_path_rate, depth), strict=True
        )

        def block(stage: Stage, position: nn.Module | None, k: int, dilation: int, drop_path: Any) -> Block:
            options = {"position": position, "stochastic": stochastic, "epsilon": epsilon, **shared}
            made = build_graph(graph, k, dilation, **options)
            parts = {"norm": norm, "act": act, "dropout": dropout, "drop_path": drop_path}
            grapher = Grapher(stage.channels, made, conv, heads, pool=stage.pool, fc=grapher_fc, **parts)
            return Block(grapher, FFN(stage.channels, **parts) if ffn else None)

        layers: list[nn.Module] = []
        offered = [(index, 0) for index in range(depth)] if self.isotropic else []  # maps, by block and stage
        if self.isotropic:  # a seed stands for weights that are drawn in this order
            layers += [block(stages[0], None, *own) for own in numbers]
        self.stem = build_stem(stem, in_chans, stages[0].channels, stride, norm, act)
        first_grid = grid = self.stem.grid(*to_2tuple(img_size))
        for place, stage in enumerate(() if self.isotropic else stages):
            if place > 0:
                layers.append(Downsample(stages[place - 1].channels, stage.channels, norm))
                grid = -(-grid[0] // 2), -(-grid[1] // 2)
            position = RelativePosition(stage.channels, grid, stage.pool) if stage.relative else None
            layers += [block(stage, position, *own) for own in islice(numbers, stage.depth)]
            offered.append((len(layers) - 1, place))
        self.pos_embed = nn.Parameter(torch.zeros(1, stages[0].channels, *first_grid))
        self.blocks = nn.ModuleList(layers)
        self.head = Head(width, num_classes, act=act, dropout=drop_rate)
        if num_classes == 0:
            self.head.prune(width)
        self.static = any(getattr(b.grapher.graph, "static", False) for b in layers if isinstance(b, Block))
        self.in_chans, self.num_classes, self.num_features, self.readout = in_chans, num_classes, width, readout
        self.global_pool = known_pool(global_pool, "")
        self.grad_checkpointing = False
        self.out_indices = [index for index, _ in offered]
        self.feature_info = [
            {"num_chs": stages[place].channels, "reduction": stride << place, "module": f"blocks.{index}"}
            for index, place in offered
        ]
        self.feature_maps = nn.ModuleList(nn.Identity() for _ in self.out_indices)
        self.last_map = nn.Identity()

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the logits ``[B, num_classes]`` of images ``[B, C, H, W]`` or of a PyG ``Batch``.

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

    def _read(self, inputs: Inputs) -> tuple[Tensor, NodeLayout]:
        return read_inputs(inputs, self.in_chans, self.stem, self.pos_embed)

    def _nodes(self, inputs: Inputs) -> tuple[Tensor, NodeLayout]:
        for _, _, total, layout, _ in self._steps(*self._read(inputs), self._given_edges(inputs)):  # noqa: B007
            pass
        return total, layout

    def _logits(self, x: Tensor, layout: NodeLayout, pre_logits: bool = False) -> Tensor:
        if not self.global_pool:
            return _as_map(x, layout)
        return self.head(pool_nodes(x, layout, self.global_pool), pre_logits)

    def _given_edges(self, inputs: Inputs) -> Adj | None:
        """Return the edges of a batch where they are wanted; pooled sources are other nodes than theirs."""
        if not self.static or isinstance(inputs, Tensor) or inputs.edge_index is None:
            return None
        first: Any = self.blocks[0]
        if inputs.x.size(1) == self.in_chans or first.grapher.pool > 1:  # edges between pixels, or to other nodes
            return None
        check_edge_list(inputs.edge_index, inputs.x.device)
        return edges_from_list(inputs.edge_index, inputs.num_nodes, inputs.num_nodes)

    def _covered(self, height: int, width: int, patches: bool) -> tuple[int, int]:
        """Return how many pixels the nodes of an image cover: patches leave out what is left at the border."""
        stride = self.stem.stride
        if patches:
            return height * stride, width * stride
        rows, columns = self.stem.grid(height, width)
        return min(height, rows * stride), min(width, columns * stride)

    def _steps(
        self, x: Tensor, layout: NodeLayout, edges: Adj | None = None
    ) -> Iterator[tuple[nn.Module, Tensor, Tensor, NodeLayout, Adj | None]]:
        """Yield every layer, beginning with the stem, with its nodes, what the head would take, layout and edges."""
        x, layout = self.stem(x, layout)
        total = x = x + self._positions(layout)
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
            table: Tensor = self.pos_embed
            if table.shape[2:] != (size := (grid.height, grid.width)):
                table = F.interpolate(table, size=size, mode="bicubic", antialias=True)
            nodes = table.permute(0, 2, 3, 1).reshape(grid.nodes, -1)
            positions.append(nodes.repeat(grid.count, 1))
        return positions[0] if len(positions) == 1 else torch.cat(positions)


def _through(module: nn.Module, x: Tensor, layout: NodeLayout) -> Tensor:
    if len(layout.grids) > 1:  # images of several sizes have no common map
        return x
    return nodes_of([module(_as_map(x, layout))])[0]


def _as_map(x: Tensor, layout: NodeLayout) -> Tensor:
    if len(layout.grids) != 1:
        raise ValueError("images of different sizes have no common feature map: call the model, or forward_graphs")
    return maps_of(x, layout)[0]
