"""What a trunk is made of: ViG blocks, and downsampling between stages."""

from torch import Tensor, nn
from torch_geometric.typing import Adj

from vig_pyg.blocks.ffn import FFN
from vig_pyg.blocks.grapher import Grapher
from vig_pyg.blocks.stem import GridConvNormAct, on_maps
from vig_pyg.conv.linear import Norm
from vig_pyg.graph.layout import NodeLayout


class Block(nn.Module):
    """A ViG block: a :class:`Grapher`, then an :class:`FFN` (left out where None).

    Shapes:
        - x ``[N, C]``, its layout and, to use given edges, these; output the same three
    """

    def __init__(self, grapher: Grapher, ffn: FFN | None) -> None:
        super().__init__()
        self.grapher = grapher
        self.ffn = ffn

    def forward(
        self, x: Tensor, layout: NodeLayout, edge_index: Adj | None = None
    ) -> tuple[Tensor, NodeLayout, Adj | None]:
        """Return the new nodes, their layout and the edges that were used."""
        x, edge_index = self.grapher(x, layout, edge_index)
        return x if self.ffn is None else self.ffn(x, layout), layout, edge_index


class Downsample(GridConvNormAct):
    """Halves height and width between two stages: one 3×3 convolution of stride 2, and a norm.

    Shapes: as :class:`Block`; there are no edges after it.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm = "batch") -> None:
        super().__init__(in_channels, out_channels, 2, norm)

    def forward(  # type: ignore[override]
        self, x: Tensor, layout: NodeLayout, edge_index: Adj | None = None
    ) -> tuple[Tensor, NodeLayout, Adj | None]:
        """Return the new nodes, their layout and no edges."""
        return *on_maps(super().forward, x, layout), None
