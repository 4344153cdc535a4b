"""What a trunk is made of: ViG blocks, and downsampling between stages."""

from torch import Tensor, nn
from torch_geometric.typing import Adj
from torch_geometric.utils import scatter

from vig_pyg.blocks.ffn import FFN
from vig_pyg.blocks.grapher import Grapher
from vig_pyg.blocks.stem import GridConvNormAct, on_maps
from vig_pyg.conv.linear import LinearNormAct, Norm
from vig_pyg.graph.layout import NodeLayout
from vig_pyg.graph.points import Layout, PointLayout, as_layout
from vig_pyg.graph.protocol import Edges

POOLINGS = ("voxel", "farthest")


class Block(nn.Module):
    """A ViG block: a :class:`Grapher`, then an :class:`FFN` (left out where None).

    Shapes:
        - x ``[N, C]``, its layout or ``batch`` vector and, to use given edges, these; output the same three
    """

    def __init__(self, grapher: Grapher, ffn: FFN | None) -> None:
        super().__init__()
        self.grapher = grapher
        self.ffn = ffn

    def forward(
        self, x: Tensor, layout: Layout | Tensor | None, edge_index: Adj | Edges | None = None
    ) -> tuple[Tensor, Layout, Adj | Edges | None]:
        """Return the new nodes, their layout and the edges that were used."""
        layout = as_layout(layout, x)
        x, edge_index = self.grapher(x, layout, edge_index)
        return x if self.ffn is None else self.ffn(x, layout), layout, edge_index


class Downsample(GridConvNormAct):
    """Halves height and width between two stages: one 3×3 convolution of stride 2, and a norm.

    Shapes: as :class:`Block`; there are no edges after it.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm = "batch") -> None:
        super().__init__(in_channels, out_channels, 2, norm)
        self.out_channels = out_channels

    def forward(  # type: ignore[override]
        self, x: Tensor, layout: NodeLayout, edge_index: Adj | None = None
    ) -> tuple[Tensor, NodeLayout, Adj | None]:
        """Return the new nodes, their layout and no edges."""
        return *on_maps(super().forward, x, layout), None


class NodeDownsample(nn.Module):
    """Makes fewer nodes between two stages where there is no grid: clusters of nodes are averaged, mapped, normalized.

    Args:
        in_channels: Width of the input.
        out_channels: Width of the output.
        norm: As in :func:`~vig_pyg.conv.build_norm`.
        pooling: What a cluster is: the nodes in a cube of two spacings (``"voxel"``), or those nearest to one of a
            quarter of the nodes, which are chosen far from each other (``"farthest"``; needs torch_cluster).

    Shapes: as :class:`Block`; there are no edges after it.

    Raises:
        ValueError: no pooling has that name.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm = "batch", pooling: str = "voxel") -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, got {pooling!r}")
        self.linear = LinearNormAct(in_channels, out_channels, norm=norm)
        self.pooling = pooling
        self.out_channels = out_channels

    def forward(
        self, x: Tensor, layout: PointLayout, edge_index: Adj | Edges | None = None
    ) -> tuple[Tensor, PointLayout, None]:
        """Return the new nodes, their layout and no edges."""
        cluster, pooled = layout.voxels(2) if self.pooling == "voxel" else layout.farthest(0.25)
        return self.linear(scatter(x, cluster, dim_size=pooled.num_nodes, reduce="mean")), pooled, None
