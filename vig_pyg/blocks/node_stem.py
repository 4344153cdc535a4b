"""From features of nodes without a grid, and their places, to nodes of a model."""

import torch
from torch import Tensor, nn

from vig_pyg.checks import check_whole
from vig_pyg.conv.linear import Act, LinearNormAct, Norm
from vig_pyg.graph.points import PointLayout
from vig_pyg.graph.position import sincos_embedding

SINES = 8  # of every coordinate, and as many cosines


class NodeStem(nn.Module):
    r"""Maps features and the sine-cosine embedding of places by two layers, the first activated.

    .. math:: \mathrm{norm}(\sigma(\mathrm{norm}([x_i \, \Vert \, e(p_i)] W_1)) W_2)

    with :func:`~vig_pyg.graph.sincos_embedding` of places in units of the node spacing.

    Args:
        in_channels: Width of the features.
        channels: Width of the nodes.
        pos_dim: Coordinates of a place; 0 where nodes have none.
        norm: As in :func:`~vig_pyg.conv.build_norm`.
        act: As in :func:`~vig_pyg.conv.build_act`.

    Shapes:
        - features ``[N, in_channels]`` and their layout → nodes ``[N, channels]`` and theirs
    """

    stride = 1

    def __init__(
        self, in_channels: int, channels: int, pos_dim: int = 2, norm: Norm = "batch", act: Act = "gelu"
    ) -> None:
        super().__init__()
        check_whole(in_channels=in_channels, channels=channels)
        check_whole(0, pos_dim=pos_dim)
        self.pos_dim = pos_dim
        self.fc1 = LinearNormAct(in_channels + 2 * SINES * pos_dim, channels, norm=norm, act=act)
        self.fc2 = LinearNormAct(channels, channels, norm=norm)

    def forward(self, x: Tensor, layout: PointLayout) -> tuple[Tensor, PointLayout]:
        """Return the nodes and their layout."""
        if self.pos_dim:
            places = sincos_embedding(layout.places(), 2 * SINES * self.pos_dim)
            x = torch.cat([x, places.to(x)], dim=1)
        return self.fc2(self.fc1(x)), layout
