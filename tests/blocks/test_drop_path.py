"""Stochastic depth drops whole images and keeps the expectation."""

import pytest
import torch

from vig_pyg.blocks import DropPath
from vig_pyg.graph.layout import NodeLayout

MIXED = NodeLayout.from_sizes([(2, 3), (4, 1), (4, 1), (1, 1)])


@pytest.mark.parametrize("layout", [NodeLayout.uniform(4, 3, 2), MIXED])
def test_whole_images_are_dropped(layout):
    torch.manual_seed(0)
    drop, x = DropPath(0.4).train(), torch.rand(layout.num_nodes, 3) + 1
    kept = set()
    for _ in range(50):
        factors = drop(x, layout) / x
        for image in range(layout.num_graphs):
            values = factors[layout.batch() == image]
            assert torch.all(values == 0) or torch.allclose(values, torch.full_like(values, 1 / 0.6))
            kept.add((image, bool(values[0, 0] > 0)))
    assert len(kept) == 2 * layout.num_graphs


def test_the_expectation_is_kept():
    torch.manual_seed(0)
    layout = NodeLayout.uniform(20_000, 1, 1)
    out = DropPath(0.3).train()(torch.ones(20_000, 1), layout)
    assert out.mean().item() == pytest.approx(1, abs=0.02)
    assert (out == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)


def test_evaluation_and_probability_zero_change_nothing():
    layout, x = NodeLayout.uniform(2, 2, 2), torch.randn(8, 3)
    assert DropPath(0.9).eval()(x, layout) is x
    assert DropPath(0.0).train()(x, layout) is x


def test_probability_one_drops_everything():
    layout = NodeLayout.uniform(2, 2, 2)
    assert torch.equal(DropPath(1.0).train()(torch.randn(8, 3), layout), torch.zeros(8, 3))


@pytest.mark.parametrize("probability", [-0.1, 1.5])
def test_what_is_no_probability_is_refused(probability):
    with pytest.raises(ValueError, match=f"between 0 and 1, got {probability}"):
        DropPath(probability)
