"""From nodes to classes."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vig_pyg.conv.linear import Act, LinearNormAct
from vig_pyg.graph.layout import NodeLayout

# What becomes of an image's nodes [B, h, w, C], by timm's names.
POOLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "avg": lambda nodes: nodes.mean((1, 2)),
    "max": lambda nodes: nodes.amax((1, 2)),
    "avgmax": lambda nodes: (nodes.mean((1, 2)) + nodes.amax((1, 2))) / 2,
}


def pool_nodes(x: Tensor, layout: NodeLayout, pooling: str = "avg") -> Tensor:
    """Return the mean of every image's nodes, ``[B, C]``, their ``"max"``, or the mean of both (``"avgmax"``)."""
    pooled = [POOLINGS[pooling](nodes) for nodes in layout.maps(x)]
    return pooled[0] if len(pooled) == 1 else torch.cat(pooled)


class Head(nn.Module):
    """The published classifier: a hidden layer with batch norm and activation, dropout, a linear layer.

    Args:
        channels: Width of an image's features.
        num_classes: Number of classes; 0 makes no layers: the features are returned.
        hidden: Width of the hidden layer.
        act: As in :func:`~vig_pyg.conv.build_act`.
        dropout: Share of the hidden layer dropped in training.

    Shapes:
        - input ``[B, channels]``, output ``[B, num_classes]``
    """

    fc1: nn.Module
    fc2: nn.Module

    def __init__(
        self, channels: int, num_classes: int, hidden: int = 1024, act: Act = "gelu", dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.act = act
        self.fc1 = nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.prune(channels)
        self.reset(num_classes)

    def prune(self, channels: int) -> None:
        """Drop all layers, for features of this width."""
        self.num_features = channels  # of what goes into the classifier, as timm calls it
        self.fc1 = self.fc2 = nn.Identity()

    def reset(self, num_classes: int) -> None:
        """Replace the classifier by a new one, after a new hidden layer where there is none.

        0 classes leave the features of the hidden layer, if there is one.
        """
        self.fc2 = nn.Identity()
        if num_classes > 0:
            if isinstance(self.fc1, nn.Identity):
                self.fc1 = LinearNormAct(self.num_features, self.hidden, act=self.act).train(self.training)
                self.num_features = self.hidden
            self.fc2 = nn.Linear(self.hidden, num_classes)
            nn.init.kaiming_normal_(self.fc2.weight)
            nn.init.zeros_(self.fc2.bias)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the logits, or the features before them."""
        x = self.dropout(self.fc1(x))
        return x if pre_logits else self.fc2(x)
