"""All backends find the same neighbors, whatever the size of the features."""

import pytest
import torch

from tests.graph.searched import BACKENDS, batch_of, brute_force, every_backend, neighbors, normal, unit
from vig_pyg.graph import choose_backend, knn_graph
from vig_pyg.graph import nearest as module


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cosine", [True, False])
@pytest.mark.parametrize("loop", [True, False])
def test_all_backends_agree(cosine, loop, dtype):
    x, batch = normal(90, 8).to(dtype), batch_of([30, 20, 40])
    found = [
        knn_graph(x, 5, batch, dilation=2, cosine=cosine, loop=loop, backend=backend).as_tensor()
        for backend in BACKENDS
    ]
    assert all(torch.equal(edges, found[0]) for edges in found)


@every_backend
@pytest.mark.parametrize("offset", [1e4, -1e4])
def test_points_far_from_the_origin_keep_their_neighbors_in_single_precision(offset, backend):
    steps = torch.randperm(400, generator=torch.Generator().manual_seed(0)).view(100, 4)
    x = steps.float() / 8 + torch.tensor([offset, -offset, 0, offset])
    edges = knn_graph(x, 6, loop=True, backend=backend)
    distance = torch.cdist(steps.double(), steps.double())
    expected = distance.sort(dim=1).values[:, :6]
    torch.testing.assert_close(distance.gather(1, neighbors(edges, 6)), expected)


def test_two_images_far_from_each_other_keep_their_neighbors_in_single_precision():
    near = torch.randperm(200, generator=torch.Generator().manual_seed(0)).view(50, 4).float() / 8
    edges = knn_graph(torch.cat([near - 1e4, near + 1e4]), 5, batch_of([50, 50]), loop=True)
    alone = brute_force(near.double(), near.double(), 5)
    distance = torch.cdist(near.double(), near.double())
    for half in neighbors(edges, 5).split(50):
        torch.testing.assert_close(distance.gather(1, half % 50), distance.gather(1, alone))


@pytest.mark.parametrize(
    ("queries", "keys", "channels", "backend"),
    [
        (16, 16, 64, "dense"),
        (196, 196, 192, "blockwise"),
        (1000, 1000, 2, "kdtree"),
        (16_384, 16_384, 4, "kdtree"),
        (16_384, 16_384, 5, "blockwise"),
        (512, 512, 3, "blockwise"),
        (4096, 4096, 64, "blockwise"),
    ],
)
def test_auto_chooses_by_number_and_width_of_the_points(queries, keys, channels, backend):
    assert choose_backend(queries, keys, channels) == backend


@pytest.mark.parametrize("device", ["cpu", "cuda", "meta"])
def test_where_blocks_do_not_stay_in_the_cache_auto_takes_them_for_the_memory_alone(device, monkeypatch):
    monkeypatch.setattr(module, "may_call_onednn", lambda: device != "cpu")
    assert choose_backend(4096, 4096, 64, device) == "dense"
    assert choose_backend(4097, 4096, 64, device) == "blockwise"


def test_auto_takes_the_tree_that_is_installed(monkeypatch):
    for missing, chosen in (({"torch_cluster"}, "kdtree"), ({"scipy"}, "torch_cluster")):
        monkeypatch.setattr(module, "find_spec", lambda name, missing=missing: None if name in missing else name)
        assert choose_backend(2000, 2000, 3) == chosen
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert choose_backend(2000, 2000, 3) == "blockwise"
    assert choose_backend(2000, 2000, 3, "cuda") == "dense"


def test_compiled_code_does_not_go_block_by_block_where_it_need_not():
    chosen = []

    def search(x):
        chosen.append(choose_backend(len(x), len(x), x.size(1)))
        return x + 1

    torch.compile(search, backend="eager")(torch.randn(196, 192))
    assert chosen == ["dense"]


def test_distances_that_overflow_still_give_distinct_neighbors_and_every_node_itself():
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    points[7] = 1e25
    found = knn_graph(points, 3, loop=True)[0].view(20, 3)
    assert found[7, 0] == 7 and found.min() >= 0 and found.max() < 20
    assert all(len(set(row)) == 3 for row in found.tolist())


@every_backend
@pytest.mark.parametrize("cosine", [True, False])
@pytest.mark.parametrize("size", [3e37, 1e25, 1e19, 1e-22, 1e-25, 1e-38, 1e-42])
def test_neighbors_do_not_depend_on_the_size_of_the_features(size, cosine, backend):
    """Three graphs of different sizes of features, each compared with distances in float64."""
    scales = torch.tensor([size, 1.0, size]).repeat_interleave(30).view(-1, 1)
    x = normal(90, 4).float() * scales
    found = neighbors(knn_graph(x, 4, batch_of([30] * 3), loop=True, cosine=cosine, backend=backend), 4)
    for graph, (points, ours) in enumerate(zip(x.double().split(30), found.split(30), strict=True)):
        points = unit(points) if cosine else points / points.abs().max()
        assert torch.equal(ours - 30 * graph, brute_force(points, points, 4))


@pytest.mark.parametrize("size", [1e25, 1e-25])
def test_positions_keep_their_weight_among_features_of_any_size(size):
    x, position = normal(30, 4).float() * size, normal(30, 3, seed=1).float() * size
    found = neighbors(knn_graph(x, 4, loop=True, position=position), 4)
    x, position = x.double() / size, position.double() / size
    assert torch.equal(found, brute_force(x, x, 4, position=position, position_y=position))


@every_backend
@pytest.mark.parametrize("loop", [True, False])
def test_a_node_of_zeros_has_no_direction_and_distance_one_to_every_other(backend, loop):
    """Beyond a right angle, at distance sqrt(2), a node is farther than one without a direction."""
    x = torch.cat([torch.zeros(1, 4, dtype=torch.double), normal(19, 4)])
    directions = torch.nn.functional.normalize(x, dim=1)
    ours = neighbors(knn_graph(x, 6, cosine=True, loop=loop, backend=backend), 6)
    distance = torch.cdist(directions, directions)
    if not loop:
        distance.fill_diagonal_(torch.inf)
    torch.testing.assert_close(distance.gather(1, ours), distance.sort(dim=1).values[:, :6])


@every_backend
@pytest.mark.parametrize("cosine", [True, False])
def test_denormals_that_count_as_zero_leave_every_neighbor_once(backend, cosine):
    try:
        if not torch.set_flush_denormal(True):
            pytest.skip("this processor cannot flush denormal numbers")
        x = torch.zeros(12, 3)
        x[:4] = torch.eye(4, 3)  # tied scores of zero among the rest
        found = neighbors(knn_graph(x, 8, loop=True, cosine=cosine, backend=backend), 8)
    finally:
        torch.set_flush_denormal(False)
    assert all(len(set(row)) == 8 for row in found.tolist())
