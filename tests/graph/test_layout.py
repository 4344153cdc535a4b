import pytest
import torch

from vig_pyg.graph import Grid, NodeLayout


def test_a_batch_of_equal_images_is_one_grid():
    layout = NodeLayout.uniform(3, 2, 4)
    assert layout.grids == (Grid(3, 2, 4),)
    assert (layout.num_graphs, layout.num_nodes) == (3, 24)
    assert layout.sizes == [(2, 4)] * 3


def test_neighboring_images_of_one_size_share_a_grid_in_their_order():
    layout = NodeLayout.from_sizes([(2, 4), (2, 4), (4, 2), (2, 4)])
    assert layout.grids == (Grid(2, 2, 4), Grid(1, 4, 2), Grid(1, 2, 4))
    assert layout.sizes == [(2, 4), (2, 4), (4, 2), (2, 4)]


def test_layouts_of_the_same_grids_are_equal_and_hashable():
    assert NodeLayout.from_sizes([(2, 3), (2, 3)]) == NodeLayout.uniform(2, 2, 3)
    assert len({NodeLayout.uniform(2, 2, 3), NodeLayout.uniform(2, 2, 3)}) == 1


def test_batch_and_ptr_follow_from_the_sizes():
    layout = NodeLayout.from_sizes([(1, 2), (3, 1), (1, 1)])
    assert layout.ptr().tolist() == [0, 2, 5, 6]
    assert layout.batch().tolist() == [0, 0, 1, 1, 1, 2]


@pytest.mark.parametrize("sizes", [[(2, 3)], [(2, 3), (2, 3)], [(2, 3), (1, 1), (3, 2)]])
def test_positions_are_the_centers_of_nodes_as_x_and_y(sizes):
    layout = NodeLayout.from_sizes(sizes)
    expected = [[column + 0.5, row + 0.5] for h, w in sizes for row in range(h) for column in range(w)]
    assert layout.pos().tolist() == expected


@pytest.mark.parametrize("sizes", [[(2, 3), (2, 3)], [(2, 3), (1, 5), (1, 5)]])
def test_maps_are_views_and_join_is_their_inverse(sizes):
    layout = NodeLayout.from_sizes(sizes)
    x = torch.randn(layout.num_nodes, 4)
    maps = layout.maps(x)
    assert [tuple(m.shape) for m in maps] == [(g.count, g.height, g.width, 4) for g in layout.grids]
    assert all(m.untyped_storage().data_ptr() == x.untyped_storage().data_ptr() for m in maps)
    joined, again = NodeLayout.join(maps)
    assert torch.equal(joined, x)
    assert again == layout


def test_the_map_of_one_grid_is_joined_without_a_copy():
    images = torch.randn(2, 4, 3, 5).to(memory_format=torch.channels_last)
    nodes, _ = NodeLayout.join([images.permute(0, 2, 3, 1)])
    assert nodes.data_ptr() == images.data_ptr()
    assert torch.equal(nodes[0], images[0, :, 0, 0])


@pytest.mark.parametrize("size", [(1, 2.5, 3), (1, -2, 3), ("a", 1, 1), (True, 1, 1), (0, 2, 3)])
def test_a_grid_of_no_whole_numbers_is_refused(size):
    with pytest.raises((TypeError, ValueError), match=r"must be (a whole number|at least 1)"):
        NodeLayout.uniform(*size)


@pytest.mark.parametrize("sizes", [None, 3, [3], [(1, 2, 3)], [(2.5, 3)], [(-2, 3)], "ab", torch.tensor([[2, 3]])])
def test_sizes_of_another_kind_are_refused(sizes):
    with pytest.raises((TypeError, ValueError), match=r"pair|must be (a whole number|at least 1)"):
        NodeLayout.from_sizes(sizes)


def test_rows_that_are_no_nodes_of_the_layout_are_refused():
    with pytest.raises(ValueError, match=r"the layout has 6 nodes, but x has shape \[4, 3\]"):
        NodeLayout.uniform(1, 2, 3).maps(torch.zeros(4, 3))
