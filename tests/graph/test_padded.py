"""Graphs of several sizes side by side, filled up."""

import pytest
import torch

from vig_pyg.graph import NodeLayout, PointLayout
from vig_pyg.graph.padded import parts, sides, sizes_of


def points(sizes):
    return PointLayout(torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes)))


def rows(layout):
    """Return a matrix whose rows are their numbers."""
    return torch.arange(float(layout.num_nodes)).unsqueeze(1)


@pytest.mark.parametrize(
    ("sizes", "together"),
    [
        ([5], [1]),
        ([4, 4, 4], [3]),
        ([3, 9, 8], [3]),
        ([1, 50, 1, 1], [2, 2]),
        ([10, 1, 1], [2, 1]),
        ([1, 1, 9], [2, 1]),
    ],
)
def test_graphs_are_filled_up_to_twice_their_nodes_at_most(sizes, together):
    layout = points(sizes)
    x = rows(layout)
    found = list(parts(x, layout, x, layout))
    assert [len(part.targets) for part in found] == together
    for part in found:
        assert part.targets is part.sources and part.targets.numel() <= 2 * part.is_target.sum()
        assert (part.targets[~part.is_target] == 0).all()
        assert torch.equal(part.first, part.sources[:, 0, 0].long())
    assert torch.equal(torch.cat([part.targets[part.is_target] for part in found]), x)


def test_sources_may_be_other_nodes():
    layout, pooled = points([6, 40, 9]), points([2, 4, 3])
    found = list(parts(rows(pooled), pooled, rows(layout), layout))
    for part in found:
        assert part.targets.shape[0] == part.sources.shape[0]
        assert torch.equal(part.first, part.sources[:, 0, 0].long())
    assert torch.equal(torch.cat([part.sources[part.is_source] for part in found]), rows(pooled))
    assert torch.equal(torch.cat([part.targets[part.is_target] for part in found]), rows(layout))


def test_images_of_one_size_are_not_copied():
    layout = NodeLayout.uniform(3, 4, 5)
    x = rows(layout)
    (part,) = parts(x, layout, x, layout)
    assert part.sources.data_ptr() == x.data_ptr() and part.sources.shape == (3, 20, 1) and part.is_source.all()
    assert sizes_of(NodeLayout.from_sizes([(2, 3), (4, 5)])) == [6, 20]


def test_what_does_not_fit_is_refused():
    layout, x = points([3, 4]), torch.randn(7, 2)
    assert sides(x, layout.batch())[1].counts == [3, 4]
    with pytest.raises(ValueError, match="the layout has 7 nodes, but x has shape"):
        sides(torch.randn(5, 2), layout)
    with pytest.raises(TypeError, match="x must hold floating point numbers"):
        sides(torch.zeros(7, 2, dtype=torch.long), layout)
    with pytest.raises(ValueError, match="sources are in 1 graphs, but targets in 2"):
        sides((torch.randn(5, 2), x), (points([5]), layout))
    for other, kind in (
        (torch.randn(7, 3), "3 channels of torch.float32"),
        (x.double(), "2 channels of torch.float64"),
    ):
        with pytest.raises(
            ValueError, match=f"must be alike, got {kind} on cpu and 2 channels of torch.float32 on cpu"
        ):
            sides((other, x), (layout, layout))
    with pytest.raises(ValueError, match="the layout holds no images: give at least one"):
        sides(torch.empty(0, 2), NodeLayout(()))
