"""The feed-forward network on nodes (paper, Eq. 7)."""

from torch import Tensor, nn

from vig_pyg.blocks.drop_path import DropPath
from vig_pyg.blocks.layer_scale import folded_scale, scale_of
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
        layer_scale: What a scale per channel of the branch starts from; None for no scale.

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
        layer_scale: float | None = None,
    ) -> None:
        super().__init__()
        check_whole(channels=channels, ratio=ratio)
        check_shares(dropout=dropout, drop_path=drop_path)
        self.fc1 = LinearNormAct(channels, ratio * channels, norm=norm, act=act)
        self.fc2 = LinearNormAct(ratio * channels, channels, norm=norm)
        self.dropout = nn.Dropout(dropout)
        self.layer_scale = scale_of(channels, layer_scale)
        self.drop_path = DropPath(drop_path)

    def reparameterize(self) -> None:
        """Fold the scale into the last map, for inference."""
        self.layer_scale = folded_scale(self.fc2, self.layer_scale)

    def forward(self, x: Tensor, layout: Layout | Tensor | None) -> Tensor:
        """Return the transformed nodes."""
        return x + self.drop_path(self.layer_scale(self.dropout(self.fc2(self.fc1(x)))), layout)
