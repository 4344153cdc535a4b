"""Positions from the neighborhood in the image (conditional positional encodings)."""

from torch import Tensor, nn

from vig_pyg.blocks.stem import GridConvNormAct, on_maps
from vig_pyg.checks import check_whole
from vig_pyg.conv.fold import is_bare
from vig_pyg.conv.inputs import check_nodes_for
from vig_pyg.graph.layout import NodeLayout
from vig_pyg.graph.points import Layout


class ConditionalPosition(nn.Module):
    r"""Tells nodes where they are by what is around them: :math:`X + \mathrm{DWConv}(X)` (Chu et al., 2021).

    Args:
        channels: Width of the nodes.
        kernel: Side of the window, odd.

    Shapes:
        - x ``[N, channels]`` and its layout on a grid; output ``[N, channels]``

    Raises:
        TypeError: the nodes are on no grid, or not of the weights' type.
        ValueError: the side is even, or the nodes have another width.
    """

    def __init__(self, channels: int, kernel: int = 7) -> None:
        super().__init__()
        check_whole(channels=channels, kernel=kernel)
        if kernel % 2 == 0:
            raise ValueError(f"the window around a node has an odd side, got kernel={kernel}")
        self.conv = GridConvNormAct(channels, channels, norm=None, kernel=kernel, depthwise=True)
        self.residual = True

    def reparameterize(self) -> None:
        """Add the identity to the kernel, for inference."""
        conv = self.conv.conv
        if self.residual and is_bare(conv, nn.Conv2d):
            middle = conv.kernel_size[0] // 2
            conv.weight.data[:, 0, middle, middle] += 1
            self.residual = False

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """Return the nodes with their positions."""
        if not isinstance(layout, NodeLayout):
            raise TypeError("a conditional position is a convolution of a grid, and these nodes have none: cpe=None")
        check_nodes_for(self.conv.conv.weight, self.conv.conv.in_channels, x)
        position, _ = on_maps(self.conv, x, layout)
        return x + position if self.residual else position
