"""Convolutions of feature maps: stems and downsampling."""

from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor, nn

from vig_pyg.blocks.node_stem import NodeStem
from vig_pyg.conv.fold import folded_norm
from vig_pyg.conv.linear import Act, Norm, build_act, build_norm
from vig_pyg.conv.norm_act import norm_act, normalize
from vig_pyg.graph.layout import Grid, NodeLayout, maps_of, nodes_of
from vig_pyg.kernels.recompute import recomputing

Maps: TypeAlias = Tensor | list[Tensor]


class GridConvNormAct(nn.Module):
    """A convolution of feature maps, a norm over all their nodes and an activation.

    Args:
        in_channels: Width of the input.
        out_channels: Width of the output.
        stride: 1, or 2 to halve height and width (rounded up).
        norm: As in :func:`~vig_pyg.conv.build_norm`.
        act: As in :func:`~vig_pyg.conv.build_act`.
        kernel: Side of the window, odd.
        depthwise: Every channel is convolved by itself.

    Shapes:
        - input: a map ``[B, in_channels, H, W]``, or a list of maps of several sizes, which are normalized together
        - output: a map ``[B, out_channels, H', W']``, or a list of them; nodes in memory, so channels last
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        norm: Norm = "batch",
        act: Act = None,
        *,
        kernel: int = 3,
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        groups = in_channels if depthwise else 1
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups)
        nn.init.kaiming_normal_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]
        self.norm = build_norm(norm, out_channels)
        self.act = build_act(act)

    def reparameterize(self) -> None:
        """Fold a batch norm into the convolution, for inference; ``timm.utils.reparameterize_model`` calls it so."""
        self.norm = folded_norm(self.conv, self.norm, nn.Conv2d)

    def forward(self, maps: Maps) -> Maps:
        """Return the new map, or maps."""
        # A node matrix is a channels-last map, so the norm sees nodes and the next convolution a map, without a copy.
        x, layout = nodes_of([self._convolved(m) for m in ([maps] if isinstance(maps, Tensor) else maps)])
        made = maps_of(norm_act(x, self.norm, self.act), layout)
        return made[0] if isinstance(maps, Tensor) else made

    def _convolved(self, x: Tensor) -> Tensor:
        with recomputing(x):
            return self.conv(x)


def on_maps(layers: Callable[[Maps], Maps], x: Tensor, layout: NodeLayout) -> tuple[Tensor, NodeLayout]:
    """Return what layers make of nodes seen as one map, or as one for every size; nothing is copied on the way.

    Shapes:
        - nodes ``[N, C]`` and their layout → nodes ``[N', C']`` and theirs
    """
    maps = maps_of(x, layout)
    made = layers(maps[0] if len(maps) == 1 else maps)
    return nodes_of([made] if isinstance(made, Tensor) else made)


class ConvStem(nn.Sequential):
    """The published stem: 3×3 convolutions of stride 2 that double the width, then one of stride 1 (no activation).

    That of the models with inverted residuals ends before the latter.

    Args:
        in_channels: Channels of the image.
        channels: Width ``D`` of the nodes, a multiple of ``stride / 2``.
        stride: Side in pixels of what becomes one node, a power of two: 16 makes convolutions to D/8, D/4, D/2, D.
        norm: As in :func:`~vig_pyg.conv.build_norm`.
        act: As in :func:`~vig_pyg.conv.build_act`.
        refine: Whether there is the convolution of stride 1.

    Shapes:
        - pixels ``[N, in_channels]`` and their layout → nodes ``[N', channels]`` and theirs

    Raises:
        ValueError: ``stride`` is no power of two, or the width cannot be halved that often.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        norm: Norm = "batch",
        act: Act = "gelu",
        refine: bool = True,
    ) -> None:
        halvings = stride.bit_length() - 1
        if stride < 2 or stride != 1 << halvings:
            raise ValueError(f"the stride of a stem must be a power of two, at least 2, got {stride}")
        if channels % (stride // 2):
            raise ValueError(f"a stem of stride {stride} needs a multiple of {stride // 2} channels, got {channels}")
        widths = [in_channels] + [channels >> (halvings - 1 - i) for i in range(halvings)]
        layers = [GridConvNormAct(a, b, 2, norm, act) for a, b in pairwise(widths)]
        super().__init__(*layers, *([GridConvNormAct(channels, channels, 1, norm)] if refine else []))
        self.stride = stride

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return the grid of nodes that an image of this size becomes."""
        check_size(height, width, self.stride)
        return -(-height // self.stride), -(-width // self.stride)

    def forward(  # type: ignore[override]
        self, x: Tensor, layout: NodeLayout
    ) -> tuple[Tensor, NodeLayout]:
        """Return the nodes and their layout."""
        return on_maps(super().forward, x, layout)


class PatchStem(nn.Module):
    """Cuts images into patches and maps each to a node with one linear layer, a norm and nothing else.

    Nodes that are patches already (of :class:`~vig_pyg.PatchGraph`) are only mapped.

    Args:
        in_channels: Channels of the image.
        channels: Width of the nodes.
        stride: Side of a patch in pixels.
        norm: As in :func:`~vig_pyg.conv.build_norm`.

    Shapes:
        - pixels ``[N, in_channels]`` or patches ``[N', in_channels · stride²]``, and their layout →
          nodes ``[N', channels]`` and theirs
    """

    def __init__(self, in_channels: int, channels: int, stride: int, norm: Norm = "batch") -> None:
        super().__init__()
        self.in_channels = in_channels
        self.patch_channels = in_channels * stride**2
        self.stride = stride
        self.conv = nn.Conv2d(in_channels, channels, stride, stride)
        nn.init.kaiming_normal_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]
        self.norm = build_norm(norm, channels)

    def reparameterize(self) -> None:
        """Fold a batch norm into the convolution, for inference; ``timm.utils.reparameterize_model`` calls it so."""
        self.norm = folded_norm(self.conv, self.norm, nn.Conv2d)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return the grid of nodes that an image of this size becomes."""
        check_size(height, width, self.stride)
        return height // self.stride, width // self.stride

    def forward(self, x: Tensor, layout: NodeLayout) -> tuple[Tensor, NodeLayout]:
        """Return the nodes and their layout."""
        if x.size(1) == self.in_channels:
            x, layout = self._patches(x, layout)
        return normalize(nn.functional.linear(x, self.conv.weight.flatten(1), self.conv.bias), self.norm), layout

    def _patches(self, x: Tensor, layout: NodeLayout) -> tuple[Tensor, NodeLayout]:
        patches, grids = [], []
        for m in layout.maps(x):
            count, height, width, channels = m.shape
            grid = Grid(count, *self.grid(height, width))
            cut = m[:, : grid.height * self.stride, : grid.width * self.stride]
            cut = cut.reshape(count, grid.height, self.stride, grid.width, self.stride, channels)
            patches.append(cut.permute(0, 1, 3, 5, 2, 4).reshape(count * grid.nodes, -1))
            grids.append(grid)
        return torch.cat(patches), NodeLayout(tuple(grids))


def build_stem(
    stem: str, in_channels: int, channels: int, stride: int, norm: Norm, act: Act, pos_dim: int = 2
) -> ConvStem | PatchStem | NodeStem:
    """Return the stem of that name, ``"conv"``, ``"patch"`` or, for nodes without a grid, ``"nodes"``.

    Raises:
        ValueError: another name.
    """
    if stem == "conv":
        return ConvStem(in_channels, channels, stride, norm, act)
    if stem == "patch":
        return PatchStem(in_channels, channels, stride, norm)
    if stem == "nodes":
        return NodeStem(in_channels, channels, pos_dim, norm, act)
    raise ValueError(f"stem must be 'conv', 'patch' or 'nodes', got {stem!r}")


def check_size(height: int, width: int, stride: int) -> None:
    """Refuse images smaller than a node.

    Raises:
        ValueError: height or width is below the stride.
    """
    if min(height, width) < stride:
        raise ValueError(f"an image of {height}×{width} pixels is smaller than the stride of the stem, {stride}")
