"""From nodes to classes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vig_pyg.checks import check_flags, check_shares, check_whole
from vig_pyg.conv.linear import Act, LinearNormAct
from vig_pyg.graph.points import Layout, PointLayout, as_layout, read_out

# What becomes of an image's nodes [B, h, w, C], by timm's names.
POOLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "avg": lambda nodes: nodes.mean((1, 2)),
    "max": lambda nodes: nodes.amax((1, 2)),
    "avgmax": lambda nodes: (nodes.mean((1, 2)) + nodes.amax((1, 2))) / 2,
}


def pool_nodes(x: Tensor, layout: Layout | Tensor | None, pooling: str = "avg") -> Tensor:
    """Return the mean of every image's nodes, ``[B, C]``, their ``"max"``, or the mean of both (``"avgmax"``).

    Raises:
        TypeError, ValueError: the layout is none, or of other nodes, or no pooling has that name.
    """
    layout = as_layout(layout, x)
    pooling = known_pool(pooling)
    if isinstance(layout, PointLayout):
        return read_out(x, layout, pooling)
    pooled = [POOLINGS[pooling](nodes) for nodes in layout.maps(x)]
    return pooled[0] if len(pooled) == 1 else torch.cat(pooled)


def known_pool(pooling: str, *others: str) -> str:
    """Return the name of a pooling, or of ``others``.

    Raises:
        ValueError: none has that name.
    """
    names = [*others, *POOLINGS]
    if not isinstance(pooling, str) or pooling not in names:
        raise ValueError(f"global_pool must be {', '.join(map(repr, names))}, got {pooling!r}")
    return pooling


class Head(nn.Module):
    """The published classifier: a hidden layer with batch norm and activation, dropout, a linear layer.

    Args:
        channels: Width of an image's features.
        num_classes: Number of classes; 0 leaves the classifier out and returns the features of the hidden layer.
        hidden: Width of the hidden layer.
        act: As in :func:`~vig_pyg.conv.build_act`.
        dropout: Share of the hidden layer dropped in training.
        distilled: Add a second linear layer, which learns from a teacher (Touvron et al., "DeiT", 2021). The output is
            the mean of both; in training, after ``distilled_training = True``, the pair.

    Shapes:
        - input ``[B, channels]``, output ``[B, num_classes]``
    """

    fc1: nn.Module
    fc2: nn.Module
    fc2_dist: nn.Module | None

    def __init__(
        self,
        channels: int,
        num_classes: int,
        hidden: int = 1024,
        act: Act = "gelu",
        dropout: float = 0.0,
        distilled: bool = False,
    ) -> None:
        super().__init__()
        check_whole(channels=channels, hidden=hidden)
        check_flags(distilled=distilled)
        check_shares(dropout=dropout)
        self.hidden = hidden
        self.act = act
        self.num_features = channels  # of what goes into the classifier, as timm calls it
        self.distilled = distilled
        self.distilled_training = False
        self._add_hidden_layer()
        self.dropout = nn.Dropout(dropout)
        self.reset(num_classes)

    def prune(self, channels: int) -> None:
        """Drop all layers, for features of this width."""
        self.num_features = channels
        self.fc1 = self.fc2 = nn.Identity()
        self.fc2_dist = None

    def reset(self, num_classes: int) -> None:
        """Replace the classifier by a new one, after a new hidden layer where that was dropped; 0 leaves it out."""
        check_whole(0, num_classes=num_classes)
        self.fc2, self.fc2_dist = nn.Identity(), None
        if num_classes > 0:
            if isinstance(self.fc1, nn.Identity):
                self._add_hidden_layer()
            self.fc2 = self._classifier(num_classes)
            self.fc2_dist = self._classifier(num_classes) if self.distilled else None

    def _classifier(self, num_classes: int) -> nn.Linear:
        weight: Any = self.fc1.linear.weight  # type: ignore[union-attr]
        classifier = nn.Linear(self.hidden, num_classes, device=weight.device, dtype=weight.dtype)
        nn.init.kaiming_normal_(classifier.weight)
        nn.init.zeros_(classifier.bias)
        return classifier

    def _add_hidden_layer(self) -> None:
        self.fc1 = LinearNormAct(self.num_features, self.hidden, act=self.act).train(self.training)
        self.num_features = self.hidden

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Return the logits, or the features before them."""
        check_flags(pre_logits=pre_logits)
        x = self.dropout(self.fc1(x))
        if pre_logits or self.fc2_dist is None:
            return x if pre_logits else self.fc2(x)
        logits, distilled = self.fc2(x), self.fc2_dist(x)
        return (logits, distilled) if self.training and self.distilled_training else (logits + distilled) / 2
