"""The inverted residual: what mobile models have between their Graphers."""

from torch import Tensor, nn
from torch_geometric.typing import Adj

from vig_pyg.blocks.drop_path import DropPath
from vig_pyg.blocks.layer_scale import folded_scale, scale_of
from vig_pyg.blocks.stem import GridConvNormAct, on_maps
from vig_pyg.checks import check_shares, check_whole
from vig_pyg.conv.linear import Act, LinearNormAct, Norm
from vig_pyg.graph.layout import NodeLayout
from vig_pyg.graph.protocol import Edges


class InvertedResidual(nn.Module):
    r"""Widens every node, mixes 3×3 windows channel by channel, and narrows it again (Sandler et al., 2018).

    .. math:: Y = \gamma \odot \big(\mathrm{DWConv}_{3 \times 3}(\sigma(X W_1)) \, W_2\big) + X

    with norms after all three maps, an activation after the first two, and a scale :math:`\gamma` per channel
    (MobileViG, Section 3.2).

    Args:
        channels: Width ``D`` of the nodes.
        ratio: The hidden layer is ``ratio · D`` wide.
        norm: As in :func:`~vig_pyg.conv.build_norm`.
        act: As in :func:`~vig_pyg.conv.build_act`.
        drop_path: Probability that the branch is skipped for an image (stochastic depth).
        layer_scale: What :math:`\gamma` starts from.

    Shapes:
        - x ``[N, channels]`` and its layout on a grid; output the same and the edges given
    """

    def __init__(
        self,
        channels: int,
        ratio: int = 4,
        norm: Norm = "batch",
        act: Act = "gelu",
        drop_path: float = 0.0,
        layer_scale: float = 1e-5,
    ) -> None:
        super().__init__()
        check_whole(channels=channels, ratio=ratio)
        check_shares(drop_path=drop_path)
        hidden = ratio * channels
        self.fc1 = LinearNormAct(channels, hidden, norm=norm, act=act)
        self.depthwise = GridConvNormAct(hidden, hidden, norm=norm, act=act, depthwise=True)
        self.fc2 = LinearNormAct(hidden, channels, norm=norm)
        self.layer_scale = scale_of(channels, layer_scale)
        self.drop_path = DropPath(drop_path)

    def reparameterize(self) -> None:
        """Fold the scale into the last map, for inference."""
        self.layer_scale = folded_scale(self.fc2, self.layer_scale)

    def forward(
        self, x: Tensor, layout: NodeLayout, edge_index: Adj | Edges | None = None
    ) -> tuple[Tensor, NodeLayout, Adj | Edges | None]:
        """Return the new nodes, their layout and the edges given."""
        hidden, _ = on_maps(self.depthwise, self.fc1(x), layout)
        return x + self.drop_path(self.layer_scale(self.fc2(hidden)), layout), layout, edge_index
