"""From nodes to classes."""

import torch
from torch import Tensor, nn

from vig_pyg.conv.linear import Act, LinearNormAct
from vig_pyg.graph.layout import NodeLayout


def pool_nodes(x: Tensor, layout: NodeLayout) -> Tensor:
    """Return the mean of every image's nodes, ``[B, C]``."""
    means = [m.mean((1, 2)) for m in layout.maps(x)]
    return means[0] if len(means) == 1 else torch.cat(means)


class Head(nn.Module):
    """The published classifier: a hidden layer with batch norm and activation, dropout, a linear layer.

    Args:
        channels: Width of an image's features.
        num_classes: Number of classes; 0 leaves the classifier out and returns the features of the hidden layer.
        hidden: Width of the hidden layer.
        act: As in :func:`~vig_pyg.conv.build_act`.
        dropout: Share of the hidden layer dropped in training.

    Shapes:
        - input ``[B, channels]``, output ``[B, num_classes]``
    """

    def __init__(
        self, channels: int, num_classes: int, hidden: int = 1024, act: Act = "gelu", dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.fc1 = LinearNormAct(channels, hidden, act=act)
        self.dropout = nn.Dropout(dropout)
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """Replace the classifier by a new one."""
        weight = self.fc1.linear.weight
        self.fc2: nn.Module = nn.Identity()
        if num_classes > 0:
            self.fc2 = nn.Linear(self.hidden, num_classes, device=weight.device, dtype=weight.dtype)
            nn.init.kaiming_normal_(self.fc2.weight)
            nn.init.zeros_(self.fc2.bias)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the logits, or the features before them."""
        x = self.dropout(self.fc1(x))
        return x if pre_logits else self.fc2(x)
