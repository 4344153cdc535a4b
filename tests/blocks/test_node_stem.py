"""The stem of nodes without a grid is two layers on features and the sines of places."""

import pytest
import torch

from vig_pyg.blocks.node_stem import NodeStem
from vig_pyg.graph import PointLayout, sincos_embedding


@pytest.mark.parametrize("dim", [0, 1, 3])
def test_it_is_its_formula(dim):
    torch.manual_seed(0)
    stem = NodeStem(5, 12, dim).double().eval()
    x, pos = torch.randn(9, 5, dtype=torch.float64), torch.rand(9, 3, dtype=torch.float64)
    layout = PointLayout(torch.tensor([0] * 4 + [1] * 5), pos[:, :dim] if dim else None)
    joined = torch.cat([x, sincos_embedding(layout.places(), 16 * dim)], dim=1) if dim else x
    out, same = stem(x, layout)
    hidden = torch.nn.functional.gelu(stem.fc1.norm(joined @ stem.fc1.linear.weight.T + stem.fc1.linear.bias))
    torch.testing.assert_close(out, stem.fc2.norm(hidden @ stem.fc2.linear.weight.T + stem.fc2.linear.bias))
    assert same is layout and out.shape == (9, 12)


def test_wrong_widths_are_refused():
    with pytest.raises(ValueError, match="in_channels must be at least 1, got 0"):
        NodeStem(0, 8)
    with pytest.raises(ValueError, match="pos_dim must be at least 0, got -1"):
        NodeStem(3, 8, -1)
