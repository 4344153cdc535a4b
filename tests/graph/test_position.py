import gc
import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vig_pyg.graph import Grid, KNNGraph, PointLayout, RelativePosition, sincos_embedding
from vig_pyg.graph import position as module
from vig_pyg.graph.pooling import average_pool
from vig_pyg.graph.position import grid_places


def embedding_by_definition(height, width, channels):
    quarter = channels // 4
    rows = []
    for row in range(height):
        for column in range(width):
            halves = []
            for place in (column, row):
                angles = np.array([place / 10000 ** (i / quarter) for i in range(quarter)])
                halves += [np.sin(angles), np.cos(angles)]
            rows.append(np.concatenate(halves))
    return np.stack(rows)


@pytest.mark.parametrize(("height", "width", "channels"), [(4, 4, 8), (3, 5, 16), (1, 1, 4)])
def test_the_embedding_equals_its_formula(height, width, channels):
    ours = sincos_embedding(grid_places(height, width), channels)
    np.testing.assert_allclose(ours.numpy(), embedding_by_definition(height, width, channels), atol=1e-12)


def test_every_embedding_has_squared_norm_half_its_width():
    embedding = sincos_embedding(grid_places(7, 9), 24)
    torch.testing.assert_close(embedding.square().sum(1), torch.full((63,), 12.0, dtype=torch.double))


@pytest.mark.parametrize("channels", [6, 9, 2])
def test_a_width_that_is_no_multiple_of_four_is_refused(channels):
    with pytest.raises(ValueError, match=f"multiple of 4 channels, got {channels}$"):
        sincos_embedding(torch.zeros(3, 2), channels)


@pytest.mark.parametrize(("side", "pool", "channels"), [(8, 1, 16), (8, 2, 16), (8, 4, 48), (14, 2, 80), (6, 3, 8)])
def test_the_table_is_the_published_one_resized_along_the_flattened_keys(side, pool, channels):
    nodes = side * side
    embedding = embedding_by_definition(side, side, channels)
    full = torch.from_numpy(-2 * embedding @ embedding.T / channels)
    size = (nodes, nodes // pool**2)
    published = F.interpolate(full[None, None], size=size, mode="bicubic", align_corners=False)[0, 0]
    ours = RelativePosition(channels, (side, side), pool).bias(Grid(2, side, side))
    torch.testing.assert_close(-2 * ours, published.float(), rtol=1e-5, atol=1e-6)


def test_without_pooling_rows_and_columns_say_what_the_table_says():
    position, grid = RelativePosition(16, (3, 5)), Grid(1, 3, 5)
    by_axis = position.by_axis(grid, torch.empty(0, dtype=torch.double))
    torch.testing.assert_close(by_axis.table().float(), position.bias(grid))


@pytest.mark.parametrize(("height", "width", "pool"), [(8, 8, 2), (4, 6, 2), (5, 7, 4), (1, 3, 2), (6, 5, 1)])
def test_on_any_grid_keys_are_embedded_at_the_centers_of_their_windows(height, width, pool):
    by_axis = RelativePosition(16, None, pool).by_axis(Grid(1, height, width), torch.empty(0, dtype=torch.double))
    starts = [(row, column) for row in range(0, height, pool) for column in range(0, width, pool)]
    centers = torch.tensor(
        [[(x + min(x + pool, width) - 1) / 2, (y + min(y + pool, height) - 1) / 2] for y, x in starts],
        dtype=torch.double,
    )
    expected = sincos_embedding(grid_places(height, width), 16) @ sincos_embedding(centers, 16).T / 16
    torch.testing.assert_close(by_axis.table(), expected)
    assert by_axis.rows.shape == (height, -(-height // pool)) and by_axis.columns.shape == (width, -(-width // pool))


def test_a_width_that_cannot_be_embedded_is_named_on_any_grid():
    with pytest.raises(ValueError, match=r"multiple of 4 channels, got 6$"):
        RelativePosition(6, None).by_axis(Grid(1, 3, 3), torch.empty(0))


@pytest.mark.parametrize("grid", [(7, 8), (8, 16), (4, 4)])
def test_another_grid_than_the_models_own_has_no_table(grid):
    assert RelativePosition(16, (8, 8), 2).bias(Grid(1, *grid)) is None


def test_windows_that_do_not_divide_the_grid_have_no_table():
    assert RelativePosition(16, (7, 8), 2).bias(Grid(1, 7, 8)) is None


def test_without_pooling_large_grids_have_no_table():
    assert RelativePosition(16, (32, 32)).table is not None and RelativePosition(16, (32, 33)).table is None
    assert RelativePosition(16, (32, 36), 2).table is not None


def test_the_table_is_not_saved_with_the_weights():
    assert not RelativePosition(16, (8, 8)).state_dict()


def test_a_window_over_the_border_averages_the_nodes_that_it_covers():
    maps = torch.arange(15, dtype=torch.double).view(1, 3, 5, 1)
    expected = [[3.0, 5.0, 6.5], [10.5, 12.5, 14.0]]
    assert average_pool(maps, 2).squeeze().tolist() == expected


def test_pooling_by_one_changes_nothing():
    maps = torch.randn(2, 3, 5, 4)
    assert average_pool(maps, 1) is maps


@pytest.mark.parametrize("pool", [1, 2])
def test_nodes_without_a_grid_are_embedded_once_a_layout_and_as_defined(pool, monkeypatch):
    layout, like = PointLayout(torch.arange(2).repeat_interleave(20), torch.rand(40, 3)), torch.empty(0)
    sources = layout if pool == 1 else layout.voxels(pool)[1]
    calls = []
    monkeypatch.setattr(module, "sincos_embedding", lambda *args: calls.append(args) or sincos_embedding(*args))
    for _ in range(3):  # blocks of a stage share the layout
        queries, keys = RelativePosition(16, None, pool).embeddings_of(layout, sources, like)
    assert len(calls) == pool
    for found, of in ((queries, layout), (keys, sources)):
        torch.testing.assert_close(found, (sincos_embedding(layout.places(of), 12) / 12**0.5).float())
    wider, _ = RelativePosition(32, None, pool).embeddings_of(layout, sources, like)
    double, _ = RelativePosition(16, None, pool).embeddings_of(layout, sources, like.double())
    assert wider.shape == (40, 30) and double.dtype == torch.float64


def test_a_layout_is_freed_with_its_batch():
    layout = PointLayout(pos=torch.rand(20, 2))
    KNNGraph(3, position=RelativePosition(8, None))(torch.randn(20, 8), layout)
    gone = weakref.ref(layout)
    gc.disable()
    try:
        del layout
        assert gone() is None
    finally:
        gc.enable()
