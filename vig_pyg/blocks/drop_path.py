"""Stochastic depth on nodes."""

from torch import Tensor, nn

from vig_pyg.checks import check_shares
from vig_pyg.graph.points import Layout, as_layout, per_graph


class DropPath(nn.Module):
    """Stochastic depth (Huang et al., 2016): in training, drops a branch for whole images at random.

    What is kept is divided by the probability of keeping it.

    Args:
        drop_prob: Probability that an image's branch is dropped.

    Shapes:
        - x: ``[N, C]`` and its layout, or ``batch`` vector; output ``[N, C]``

    Raises:
        TypeError, ValueError: ``drop_prob`` is no probability.
    """

    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        check_shares(drop_prob=drop_prob)
        self.drop_prob = drop_prob

    def forward(self, x: Tensor, layout: Layout | Tensor | None) -> Tensor:
        """Return the branch, dropped for some images."""
        if self.drop_prob == 0 or not self.training:
            return x
        layout = as_layout(layout, x)
        keep = 1 - self.drop_prob
        scale = x.new_empty(layout.num_graphs).bernoulli_(keep)
        if keep > 0:
            scale = scale / keep
        return per_graph(scale, layout, x)

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows."""
        return f"{self.drop_prob:g}"
