"""The feed-forward network on nodes (paper, Eq. 7)."""

from torch import Tensor, nn

from vig_pyg.blocks.drop_path import DropPath
from vig_pyg.checks import check_shares, check_whole
from vig_pyg.conv.linear import Act, LinearNormAct, Norm
from vig_pyg.graph.points import Layout


class FFN(nn.Module):
    r"""Transforms every node by itself: :math:`Z = \sigma(Y W_1) W_2 + Y` (paper, Eq. 7), norms after both maps.

    Args:
        channels: Width ``D`` of the nodes.
        ratio: The hidden layer is ``ratio · D`` wide.
        norm: As in :func:`~vig_pyg.conv.build_norm`.
        act: As in :func:`~vig_pyg.conv.build_act`.
        dropout: Share of values dropped from the branch.
        drop_path: Probability that the branch is skipped for an image (stochastic depth).

    Shapes:
        - x: ``[N, channels]`` and its layout, or ``batch`` vector; output ``[N, channels]``
    """

    def __init__(
        self,
        channels: int,
        ratio: int = 4,
        norm: Norm = "batch",
        act: Act = "gelu",
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        check_whole(channels=channels, ratio=ratio)
        check_shares(dropout=dropout, drop_path=drop_path)
        self.fc1 = LinearNormAct(channels, ratio * channels, norm=norm, act=act)
        self.fc2 = LinearNormAct(ratio * channels, channels, norm=norm)
        self.dropout = nn.Dropout(dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, layout: Layout | Tensor | None) -> Tensor:
        """Return the transformed nodes."""
        return x + self.drop_path(self.dropout(self.fc2(self.fc1(x))), layout)
