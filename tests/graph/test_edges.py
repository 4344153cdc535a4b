"""Edges in every form that PyG knows, as lists and in compressed form."""

import copy
import io
import pickle

import pytest
import torch
from torch_geometric import EdgeIndex
from torch_geometric.utils import to_torch_coo_tensor, to_torch_csr_tensor

from vig_pyg.graph import compressed, edges_from_neighbors
from vig_pyg.graph.edges import check_range, edge_list, edges_from_list, in_order, sorted_once

LIST = torch.tensor([[3, 0, 1, 0], [2, 0, 2, 2]])  # four sources, three targets


@pytest.mark.parametrize(
    "form",
    [
        lambda: edges_from_list(LIST, 4, 3),
        lambda: EdgeIndex(LIST[:, LIST[1].argsort(stable=True)], sparse_size=(4, 3), sort_order="col"),
        lambda: to_torch_csr_tensor(LIST.flip(0), size=(3, 4)),
        lambda: to_torch_coo_tensor(LIST.flip(0), size=(3, 4)),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
def test_the_neighbors_of_every_target_are_found_in_every_form(form):
    edges = form()
    ptr, index, max_degree = compressed(edges)
    assert ptr.tolist() == [0, 1, 1, 4] and max_degree == 3
    assert index[:1].tolist() == [0] and sorted(index[1:].tolist()) == [0, 1, 3]
    assert sorted(edge_list(edges).T.tolist()) == sorted(LIST.T.tolist())


def test_a_graph_without_edges_has_no_neighbors():
    ptr, index, max_degree = compressed(edges_from_list(LIST[:, :0], 4, 3))
    assert ptr.tolist() == [0, 0, 0, 0] and index.numel() == max_degree == 0


def test_neighbors_become_edges_in_their_order():
    edges = edges_from_neighbors(torch.tensor([[2, 0], [1, 2]]), 3)
    assert edge_list(edges).tolist() == [[2, 0, 1, 2], [0, 0, 1, 1]]
    assert [part.tolist() for part in compressed(edges)[:2]] == [[0, 2, 4], [2, 0, 1, 2]]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [((3, 3), "an edge has source 3, but there are 3 source nodes, 0 to 2"), ((4, 2), "an edge has target 2")],
)
def test_an_edge_that_points_outside_is_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        edges_from_list(LIST, *sizes)


def test_edges_that_are_not_sorted_as_they_say_are_refused():
    with pytest.raises(ValueError, match="sort_order='col', but falls at position 1: leave it out"):
        check_range(EdgeIndex(LIST, sparse_size=(4, 3), sort_order="col"), (4, 3))


@pytest.mark.parametrize("num_targets", [1, 300, 2**15 - 1, 2**15, 2**15 + 1, 70_000])
def test_lists_are_sorted_by_numbers_of_any_size_and_keep_their_order_otherwise(num_targets):
    target = torch.randint(num_targets, (500,), generator=torch.Generator().manual_seed(0))
    target[:2] = torch.tensor([num_targets - 1, 0])
    edges = edges_from_list(torch.stack([torch.arange(500), target]), 500, num_targets)
    expected = sorted(enumerate(target.tolist()), key=lambda edge: edge[1])
    assert list(map(tuple, edge_list(edges).T.tolist())) == expected
    ptr, _, max_degree = compressed(edges)
    assert ptr.diff().tolist() == target.bincount(minlength=num_targets).tolist() and max_degree == ptr.diff().max()


# What edges were and are no more #######################################################################

SIZES = (7, 6)


def sorted_by(order):
    """Edges of seven sources and six targets, the last of which nobody points at, by PyG or by us."""
    draw = torch.Generator().manual_seed(1)
    edges = torch.stack([torch.randint(7, (14,), generator=draw), torch.randint(5, (14,), generator=draw)])
    if order == "ours":
        return edges_from_list(edges, *SIZES)
    if order is None:
        return edges
    places = edges[0 if order == "row" else 1].argsort(stable=True)
    return EdgeIndex(edges[:, places].contiguous(), sparse_size=SIZES, sort_order=order)


def check(edges, sizes=(12, 12)):
    """Check what is known of edges by a look at every edge."""
    sizes = edges.sparse_size() if isinstance(edges, EdgeIndex) and None not in edges.sparse_size() else sizes
    pairs = edge_list(edges).T.tolist()
    expected = [sorted(source for source, target in pairs if target == i) for i in range(sizes[1])]
    for form in (in_order(edges, *sizes), edges)[: 1 + isinstance(edges, EdgeIndex)]:
        ptr, index, max_degree = compressed(form)
        lists = [sorted(part.tolist()) for part in index.tensor_split(ptr[1:-1])]
        assert lists == expected[: len(lists)] and not any(expected[len(lists) :])
        assert max_degree == max(map(len, expected))


def other_order(edges):
    return "row" if edges.is_sorted_by_col else "col"


def both_rise(edges):
    """Edges that are in both orders, made by PyG of the same in the other order."""
    order = other_order(edges)
    again = EdgeIndex([[0, 1, 2, 3, 4, 4], [0, 0, 1, 2, 2, 4]], sparse_size=SIZES, sort_order=edges.sort_order)
    again.get_csr(), again.get_csc()
    return EdgeIndex(again, sort_order=order)


TURNED = {
    "flip": lambda e: e.flip(0),
    "flip twice": lambda e: e.flip(0).flip(0),
    "sort_by": lambda e: e.sort_by(other_order(e)).values,
    "sort_by twice": lambda e: e.sort_by(other_order(e)).values.sort_by(e.sort_order).values,
    "another sort_order": both_rise,
    "more nodes": lambda e: EdgeIndex(e, sparse_size=(9, 9)),
    "more targets": lambda e: EdgeIndex(e, sparse_size=(7, 9)),
    "more sources": lambda e: EdgeIndex(e, sparse_size=(9, 6)),
    "resized": lambda e: e.clone().sparse_resize_(9, 8),
    "resized to fewer": lambda e: e.clone().sparse_resize_(7, 5),
    "a sum": lambda e: e + 1,
    "a sum in place": lambda e: e.clone().add_(torch.tensor([[2], [1]])),
    "a difference": lambda e: (e + 2) - 1,
    "a mask": lambda e: e[:, e.as_tensor()[0] > 1],
    "a slice": lambda e: e[:, 3:9],
    "narrowed targets": lambda e: e.sparse_narrow(1, 1, 3),
    "narrowed sources": lambda e: e.sparse_narrow(0, 1, 3),
    "32 bits": lambda e: e.int(),
    "cat": lambda e: torch.cat([e, e], 1),
}


@pytest.mark.parametrize("turn", TURNED.values(), ids=TURNED)
@pytest.mark.parametrize("asked", [[], ["get_csr"], ["get_csc"], ["get_csr", "get_csc"]], ids=str)
@pytest.mark.parametrize("order", ["row", "col", "ours"])
def test_pointers_that_pyg_mixes_up_are_not_used(order, asked, turn):
    edges = sorted_by(order)
    for pointers in asked:
        getattr(edges, pointers)()
    check(turn(edges))


def set_rows(edges):
    edges[0], edges[1] = edges[1].clone(), edges[0].clone().clamp_(max=5)


EDITS = {
    "a row": lambda e: e.__setitem__(1, torch.full((14,), 3)),
    "rows": set_rows,
    "an end": lambda e: e.__setitem__((1, 0), 4),
    "an edge": lambda e: e.__setitem__((slice(None), 2), torch.tensor([6, 0])),
    "some edges": lambda e: e.__setitem__((slice(None), torch.tensor([3, 5])), 2),
    "a view of a row": lambda e: e[1].fill_(2),
    "a view": lambda e: e.view(-1)[20:].fill_(1),
    "what it wraps": lambda e: edge_list(e)[1].fill_(5),
    "copy_": lambda e: e.copy_(torch.arange(28).view(2, 14) % 5),
    "clamp_": lambda e: e.clamp_(max=3),
    "add_": lambda e: e.add_(0),
}
edited = pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
every_form = pytest.mark.parametrize("order", [None, "row", "col", "ours"])


@edited
@every_form
def test_edges_that_are_changed_in_place_are_read_anew(order, edit):
    edges = sorted_by(order)
    for _ in range(2):
        check(edges, SIZES)
        edit(edges)
        check(edges, SIZES)
    check_range(edges, (7, 7))


@edited
@every_form
def test_so_are_those_of_inference_mode(order, edit):
    if (order, edit) == ("ours", EDITS["what it wraps"]):
        pytest.skip("nobody sees that")
    with torch.inference_mode():
        edges = sorted_by(order)
        check(edges, SIZES)
        edit(edges)
        check(edges, SIZES)


def from_file(edges):
    file = io.BytesIO()
    torch.save(edges, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=True)


@edited
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, torch.clone, from_file, pickle.dumps])
def test_a_copy_of_changed_edges_knows_no_more_than_they_do(copied, edit):
    edges = sorted_by("ours")
    edit(edges)
    again = copied(edges)
    check(pickle.loads(again) if isinstance(again, bytes) else again)


def test_a_change_of_a_copy_that_shares_values_is_one_of_both():
    edges = sorted_by("ours")
    copy.copy(edges)[1].fill_(2)
    check(edges)


def test_a_list_is_sorted_once_while_it_lives_unchanged():
    for edges in (sorted_by(None), sorted_by("row"), sorted_by("col")):
        first = sorted_once(edges, *SIZES)
        assert sorted_once(edges, *SIZES) is first
        assert sorted_once(edges, 8, 6) is not first
        edges[0, 0] = 1
        assert sorted_once(edges, *SIZES) is not first
