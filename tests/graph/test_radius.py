"""Graphs of all neighbors within a radius, beside ``torch_cluster``."""

import inspect

import pytest
import torch
import torch_cluster
from torch_geometric.nn import pool

import vig_pyg
from tests.graph.searched import batch_of, normal
from vig_pyg.graph import choose_backend, compressed, radius_graph

SIZES = [[40], [15, 2, 2, 21], [1, 0, 39], [1]]
GRID = torch.cartesian_prod(torch.arange(8.0), torch.arange(8.0))


def pairs(edges):
    """The edges as a sorted list of pairs."""
    return sorted(edges.T.tolist())


def test_the_arguments_are_those_of_pyg():
    ours, theirs = (inspect.signature(f).parameters.values() for f in (radius_graph, pool.radius_graph))
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
@pytest.mark.parametrize("loop", [True, False])
@pytest.mark.parametrize("r", [0, 0.5, 1.5, 1e9])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("dtype", [torch.float, torch.double])
def test_all_nodes_within_the_radius_are_those_of_torch_cluster(sizes, r, loop, flow, dtype):
    x, batch = normal(sum(sizes), 3).to(dtype), batch_of(sizes)
    edges = radius_graph(x, r, batch, loop, 40, flow).validate()
    assert pairs(edges) == pairs(torch_cluster.radius_graph(x, r, batch, loop, 50, flow))
    assert edges.sort_order == ("col" if flow == "source_to_target" else "row")
    ptr, _, max_degree = compressed(edges)
    assert max_degree == max(ptr.diff().tolist())


@pytest.mark.parametrize("r", [1, 1.5, 2, 2**0.5, 5, 5.1])
def test_a_node_at_exactly_the_radius_is_outside_as_for_torch_cluster(r):
    assert pairs(radius_graph(GRID, r, max_num_neighbors=64)) == pairs(
        torch_cluster.radius_graph(GRID, r, max_num_neighbors=64)
    )


@pytest.mark.parametrize("loop", [True, False])
def test_of_too_many_the_nearest_are_kept(loop):
    x, batch = normal(60, 3), batch_of([25, 35])
    edges = radius_graph(x, 2.0, batch, loop, max_num_neighbors=5)
    nearest = vig_pyg.knn_graph(x, 5, batch, loop).as_tensor()
    near = (x[nearest[0]] - x[nearest[1]]).norm(dim=1) < 2
    assert 0 < near.sum() < len(near)
    assert torch.equal(edges.as_tensor(), nearest[:, near])


def test_many_points_are_searched_by_trees_or_in_blocks():
    x = normal(1100, 3)
    assert choose_backend(1100, 1100, 3) == "kdtree"
    wide = torch.cat([x, x.new_zeros(1100, 2)], 1)
    assert choose_backend(1100, 1100, 5) == "blockwise"
    expected = pairs(torch_cluster.radius_graph(x, 0.3, max_num_neighbors=200))
    assert pairs(radius_graph(x, 0.3, max_num_neighbors=200, num_workers=2)) == expected
    assert pairs(radius_graph(wide, 0.3, max_num_neighbors=200)) == expected


@pytest.mark.parametrize("size", [1e30, 1e-30, 1e-42])
def test_the_size_of_the_features_does_not_matter(size):
    x = normal(30, 3).float() * size
    expected = pairs(radius_graph(x.double() / size, 1.0))
    assert pairs(radius_graph(x, size)) == expected


def test_half_precision_and_gradients_are_taken():
    x = normal(30, 3).half().requires_grad_()
    edges = radius_graph(x, 1.0)
    assert not edges.requires_grad
    assert pairs(edges) == pairs(radius_graph(x.detach().float(), 1.0))


@pytest.mark.parametrize("batch", [None, torch.empty(0, dtype=torch.long)])
def test_no_nodes_give_no_edges(batch):
    assert radius_graph(torch.empty(0, 3), 1.0, batch).shape == (2, 0)


def test_operators_take_irregular_neighborhoods_and_lonely_nodes():
    x = normal(30, 3)
    edges = radius_graph(x, 0.7)
    assert 0 in torch.bincount(edges[1], minlength=30)
    for conv in (vig_pyg.MaxRelativeConv(3, 8), vig_pyg.EdgeConv(3, 8), vig_pyg.GINConv(3, 8), vig_pyg.SAGEConv(3, 8)):
        conv = conv.double().eval()
        torch.testing.assert_close(conv(x, edges), conv(x, edges.as_tensor()[:, torch.randperm(edges.size(1))]))


def test_functions_that_are_compiled_may_call_it():
    conv, x = vig_pyg.MaxRelativeConv(3, 8).double().eval(), normal(20, 3)
    torch.compiler.reset()
    compiled = torch.compile(lambda x: conv(x, radius_graph(x, 1.0)).sum(), backend="aot_eager")
    torch.testing.assert_close(compiled(x), conv(x, radius_graph(x, 1.0)).sum())
