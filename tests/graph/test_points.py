"""Nodes without a grid are laid out, pooled and read out as those of a grid are, where both are the same nodes."""

import pytest
import torch
from scipy.spatial import cKDTree
from torch_geometric.data import Batch, Data

from vig_pyg.blocks import FFN, Block, DropPath, Grapher, pool_nodes
from vig_pyg.graph import GridGraph, KNNGraph, NodeLayout, PointLayout, RelativePosition
from vig_pyg.graph.points import as_layout, per_graph
from vig_pyg.graph.pooling import pooled_layout, pooled_nodes, windows

SIZES = [(4, 6), (4, 6), (6, 2)]
GRID = NodeLayout.from_sizes(SIZES)


def points(scale=1.0):
    """The nodes of the grids above as if they were points, at any scale and place."""
    return PointLayout(GRID.batch(), scale * (GRID.pos() + torch.tensor([3.0, -7.0])))


def features(width=16, seed=0):
    return torch.randn(GRID.num_nodes, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def links(edges):
    """Edges as a set, whatever their order."""
    return set(map(tuple, torch.as_tensor(edges).T.tolist()))


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


# Layouts ################################################################################################


def test_it_says_what_a_batch_says():
    batch = Batch.from_data_list([Data(pos=torch.rand(n, 3)) for n in (5, 1, 7)])
    layout = PointLayout(batch.batch, batch.pos)
    assert layout.num_graphs == 3 and layout.num_nodes == 13 and layout.counts == [5, 1, 7]
    assert torch.equal(layout.ptr(), batch.ptr) and torch.equal(layout.batch(), batch.batch)
    assert torch.equal(layout.pos(), batch.pos)


def test_the_spacing_is_how_far_the_nearest_point_is():
    clouds = [torch.rand(50, 3), 5 * torch.rand(30, 3)]
    layout = PointLayout(torch.tensor([0] * 50 + [1] * 30), torch.cat(clouds))
    expected = [cKDTree(cloud).query(cloud, 2)[0][:, 1].mean() for cloud in clouds]
    torch.testing.assert_close(layout.spacing, torch.tensor(expected, dtype=torch.float64), rtol=1e-5, atol=0)


@pytest.mark.parametrize("scale", [1.0, 0.01, 300.0])
def test_places_are_those_of_the_grid_at_any_scale(scale):
    torch.testing.assert_close(points(scale).places(), (GRID.pos() - 0.5).double(), rtol=1e-4, atol=1e-4)


def test_points_at_one_place_have_a_spacing():
    assert PointLayout(pos=torch.ones(4, 2)).spacing.tolist() == [1]


@pytest.mark.parametrize(
    ("batch", "pos", "message"),
    [
        (torch.tensor([0, 2]), None, "graph 1 has no nodes"),
        (torch.tensor([1, 0]), None, "batch must be sorted, but falls at position 1"),
        (torch.tensor([0, 0]), torch.rand(3, 2), r"batch must have shape \[3\], one entry a node, got \[2\]"),
        (None, torch.tensor([[0.0, torch.nan]]), "pos must be finite, but row 0"),
        (None, None, "a layout needs the graph of every node"),
    ],
)
def test_what_is_no_layout_is_refused(batch, pos, message):
    with pytest.raises(ValueError, match=message):
        PointLayout(batch, pos)


def test_a_number_of_nodes_that_is_not_that_of_the_rows_is_refused():
    assert PointLayout(pos=torch.rand(3, 2), num_nodes=3).num_nodes == 3
    with pytest.raises(ValueError, match="num_nodes is 4, but batch or pos has 3 rows"):
        PointLayout(pos=torch.rand(3, 2), num_nodes=4)


def test_what_has_no_places_says_so():
    with pytest.raises(ValueError, match="the nodes have no places: give pos"):
        PointLayout(num_nodes=3).pos()


# Where a layout is taken, a batch vector is too #########################################################


@pytest.mark.parametrize("pooling", ["avg", "max", "avgmax"])
def test_read_outs_are_those_of_the_grid(pooling):
    x = features()
    expected = pool_nodes(x, GRID, pooling)
    torch.testing.assert_close(pool_nodes(x, points(), pooling), expected)
    torch.testing.assert_close(pool_nodes(x, GRID.batch(), pooling), expected)


def test_one_graph_needs_no_batch_vector():
    x = features()
    torch.testing.assert_close(pool_nodes(x, None), x.mean(0, keepdim=True))
    assert as_layout(None, x).counts == [len(x)]


def test_a_factor_per_graph():
    x, values = features(), torch.tensor([0.0, 2.0, -1.0], dtype=torch.float64)
    torch.testing.assert_close(per_graph(values, points(), x), per_graph(values, GRID, x))


def test_branches_are_dropped_for_whole_graphs():
    drop, x = DropPath(0.5).train(), torch.ones(GRID.num_nodes, 4)
    kept = drop(x, GRID.batch())
    assert all(part.unique().numel() == 1 for part in kept.split([24, 24, 12]))


def test_neighbors_are_those_of_the_grid():
    x = features()
    expected = KNNGraph(3, 2)(x, GRID).as_tensor()
    for layout in (points(), GRID.batch()):
        assert torch.equal(KNNGraph(3, 2)(x, layout).as_tensor(), expected)


@pytest.mark.parametrize("backend", ["dense", "blockwise"])
@pytest.mark.parametrize(("k", "dilation"), [(4, 1), (4, 3), (5, 9)])
def test_graphs_of_other_sizes_are_searched_as_if_alone(k, dilation, backend):
    counts = [20, 31, 24, 24, 30]
    x = torch.randn(sum(counts), 8)
    batch = torch.arange(5).repeat_interleave(torch.tensor(counts))
    graph = KNNGraph(k, dilation, backend=backend)
    together, first = graph(x, batch).as_tensor(), 0
    for count, edges in zip(counts, together.split([k * c for c in counts], dim=1), strict=True):
        assert torch.equal(edges - first, graph(x[first : first + count], None).as_tensor())
        first += count


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("relative", [False, True])
def test_a_block_is_that_of_the_grid(pool, relative):
    position = RelativePosition(16, None, pool) if relative else None
    block = Block(Grapher(16, KNNGraph(3, position=position), pool=pool, drop_path=0), FFN(16)).double().eval()
    x = features()
    expected, _, _ = block(x, GRID)
    out, layout, _ = block(x, points())
    torch.testing.assert_close(out, expected, rtol=1e-6, atol=1e-6)
    assert layout.num_graphs == 3
    if pool == 1 and not relative:
        torch.testing.assert_close(block(x, GRID.batch())[0], expected)


def test_clusters_are_the_windows_of_a_grid():
    x, layout = features(), points()
    of_grid, cluster = windows(GRID, 2, "cpu"), windows(layout, 2, "cpu")
    pairs = set(zip(of_grid.tolist(), cluster.tolist(), strict=True))
    assert len(pairs) == len(set(of_grid.tolist())) == len(set(cluster.tolist()))
    renamed = torch.tensor([other for _, other in sorted(pairs)])
    torch.testing.assert_close(pooled_nodes(x, layout, 2)[renamed], pooled_nodes(x, GRID, 2))
    pooled = pooled_layout(layout, 2)
    assert torch.equal(pooled.batch()[renamed], pooled_layout(GRID, 2).batch())


def test_the_farthest_points_are_kept_and_the_others_join_the_nearest():
    pos = torch.rand(40, 3)
    cluster, layout = PointLayout(torch.tensor([0] * 25 + [1] * 15), pos).farthest(0.25)
    assert layout.counts == [7, 4]
    for graph, own in enumerate((slice(0, 25), slice(25, 40))):
        kept = layout.pos()[layout.batch() == graph]
        nearest = cKDTree(kept).query(pos[own])[1]
        assert cluster[own].tolist() == (nearest + (0 if graph == 0 else 7)).tolist()


def test_a_graph_of_the_grid_says_that_it_needs_one():
    with pytest.raises(TypeError, match="GridGraph links places of a grid, and these nodes have none"):
        GridGraph(4)(features(), points())


def test_a_graph_that_is_too_small_is_named():
    with pytest.raises(ValueError, match="k=13 neighbors need at least 13 nodes, but graph 2 offers 12"):
        KNNGraph(13)(features(), GRID.batch())


def test_sources_on_a_grid_and_targets_without_are_refused():
    with pytest.raises(TypeError, match="must both be on a grid, or neither"):
        KNNGraph(3)((features(), features()), (GRID, points()))
