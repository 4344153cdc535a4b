"""What is used of PyTorch Geometric beyond its documented interface is there, and means what we take it for."""

import copy
import io
import pickle

import pytest
import torch
from torch_geometric import EdgeIndex, utils
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader
from torch_geometric.transforms import ToSparseTensor

from tests.graph.searched import batch_of, normal
from tests.seen import check_seen
from vig_pyg import GINConv, MaxRelativeConv, knn_graph
from vig_pyg.graph.edges import compressed
from vig_pyg.graph.pyg_internals import SEEN, NeighborIndex, messages_are_watched, pointers_of, sorted_edge_index

SIZES = [3, 9]


def data_of(edges):
    return Data(x=torch.ones(12, 1), edge_index=edges)


def from_file(edges):
    file = io.BytesIO()
    torch.save(edges, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=True)


FUNCTIONS = {
    "coalesce": utils.coalesce,
    "coalesce by target": lambda e: utils.coalesce(e, sort_by_row=False),
    "coalesce with values": lambda e: utils.coalesce(torch.cat([e, e], 1), normal(2 * e.size(1))),
    "sort_edge_index": utils.sort_edge_index,
    "is_undirected": utils.is_undirected,
    "to_undirected": utils.to_undirected,
    "to_undirected with values": lambda e: utils.to_undirected(e, normal(e.size(1))),
    "add_self_loops": utils.add_self_loops,
    "add_remaining_self_loops": utils.add_remaining_self_loops,
    "remove_self_loops": utils.remove_self_loops,
    "contains_self_loops": utils.contains_self_loops,
    "contains_isolated_nodes": utils.contains_isolated_nodes,
    "one after another": lambda e: utils.coalesce(utils.add_self_loops(utils.remove_self_loops(e)[0])[0]),
    "degree": lambda e: utils.degree(e[1], 12),
    "softmax": lambda e: utils.softmax(normal(e.size(1)), e[1]),
    "subgraph": lambda e: utils.subgraph(torch.arange(6), e),
    "k_hop_subgraph": lambda e: utils.k_hop_subgraph(5, 2, e),
    "get_laplacian": utils.get_laplacian,
    "to_dense_adj": utils.to_dense_adj,
    "to_torch_coo_tensor": lambda e: utils.to_torch_coo_tensor(e).to_dense(),
    "to_torch_csr_tensor": lambda e: utils.to_torch_csr_tensor(e).to_dense(),
    "to_scipy_sparse_matrix": lambda e: torch.from_numpy(utils.to_scipy_sparse_matrix(e).toarray()),
    "ToSparseTensor": lambda e: ToSparseTensor()(data_of(e)).adj_t.to_dense(),
    "Data": lambda e: torch.tensor([data_of(e).is_undirected(), data_of(e).is_coalesced(), data_of(e).validate()]),
    "Data.coalesce": lambda e: data_of(e).coalesce().edge_index,
    "Batch": lambda e: Batch.from_data_list([data_of(e), data_of(e)]).edge_index,
    "one of a Batch": lambda e: Batch.from_data_list([data_of(e), data_of(e)])[1].edge_index,
    "DataLoader": lambda e: next(iter(DataLoader([data_of(e), data_of(e)], 2))).edge_index,
    "clone": lambda e: e.clone(),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda e: pickle.loads(pickle.dumps(e)),
    "save": from_file,
    "to": lambda e: e.to("cpu", copy=True),
    "int": lambda e: e.int(),
    "contiguous": lambda e: e.contiguous(),
    "cat": lambda e: torch.cat([e, e], 1),
    "a mask": lambda e: e[:, e[0] > e[1]],
    "indices": lambda e: e[:, torch.tensor([4, 2])],
    "a slice": lambda e: e[:, 2:7],
    "rows": lambda e: e[0] * 100 + e[1],
    "unpacking": lambda e: tuple(e),
    "an in-place sum with a row": lambda e: torch.ones_like(e[0]).add_(e[1]),
    "flip": lambda e: e.flip(0),
    "swapped rows": lambda e: e[[1, 0]],
    "stack": lambda e: torch.stack([e[1], e[0]]),
    "an offset": lambda e: e + 3,
    "comparison": lambda e: e == 3,
}
COPIES = ["clone", "copy", "deepcopy", "pickle", "save", "to", "contiguous"]


@pytest.mark.parametrize("sizes", [[12], SIZES])
@pytest.mark.parametrize("loop", [True, False])
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
def test_functions_of_pyg_do_the_same_as_with_a_plain_list(function, loop, sizes):
    edges = knn_graph(normal(12, 3), 4, batch_of(sizes), loop)
    ours, theirs = function(edges), function(edges.as_tensor().clone())
    for own, expected in zip(*(out if isinstance(out, tuple) else (out,) for out in (ours, theirs)), strict=True):
        if isinstance(own, EdgeIndex):
            check_known(own)
            own = own.as_tensor()
        assert torch.equal(own, expected) if isinstance(expected, torch.Tensor) else own == expected


def check_known(edges):
    """Whatever edges know of themselves is what a plain list has."""
    edges.validate()
    plain = EdgeIndex(edges.as_tensor().clone(), sparse_size=edges.sparse_size(), sort_order=edges.sort_order)
    assert isinstance(edges, NeighborIndex)
    if edges.is_sorted:
        for ours, theirs in ((edges.get_csc(), plain.get_csc()), (edges.get_csr(), plain.get_csr())):
            assert torch.equal(ours[0][0], theirs[0][0])
        assert compressed(edges)[2] == int(plain.get_csc()[0][0].diff().max())


@pytest.mark.parametrize("name", COPIES)
def test_copies_keep_what_is_known(name):
    edges = FUNCTIONS[name](knn_graph(normal(12, 3), 4, batch_of(SIZES)))
    assert edges.sort_order == "col" and edges.sparse_size() == (12, 12)
    assert edges._indptr is not None and edges.max_degree == 4


def test_edges_of_another_type_are_not_taken_for_checked_ones():
    edges = knn_graph(normal(12, 3), 4)
    assert not hasattr(edges.int(), "max_degree") and not hasattr(edges[:, :7], "max_degree")


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("asked", ["nothing", "pointers of both"])
def test_pointers_stay_with_their_order_where_edges_are_turned_or_sorted(steps, asked):
    edges = knn_graph(normal(12, 3), 4, batch_of(SIZES), y=normal(8, 3, seed=1), batch_y=batch_of([3, 5]))
    for step in range(steps):
        if asked != "nothing":
            edges.get_csr(), edges.get_csc()
        turned, (again, places) = edges.flip(0), edges.sort_by("row" if edges.is_sorted_by_col else "col")
        assert torch.equal(turned.as_tensor(), edges.as_tensor().flip(0))
        assert torch.equal(again.as_tensor(), edges.as_tensor()[:, places])
        check_known(turned), check_known(again)
        edges = turned if step % 2 else again
    assert edges.sort_by(edges.sort_order).values is edges


def test_edges_go_in_and_out_of_compiled_code():
    edges = knn_graph(normal(12, 3), 4, batch_of(SIZES))
    torch.compiler.reset()
    compiled = torch.compile(lambda x, e: (knn_graph(x, 2), e.flip(0)), backend="aot_eager", fullgraph=True)
    for ours, theirs in zip(compiled(normal(12, 3), edges), (knn_graph(normal(12, 3), 2), edges.flip(0)), strict=True):
        assert torch.equal(ours.as_tensor(), theirs.as_tensor()) and ours.sort_order == theirs.sort_order
        check_known(ours)


@pytest.mark.parametrize("operator", [GINConv, MaxRelativeConv])
def test_compiled_code_notices_changes_in_place_and_believes_no_pointers_of_pyg(operator):
    torch.manual_seed(0)
    x, conv = normal(12, 3), operator(3, 4).double()
    torch.compiler.reset()
    compiled = torch.compile(conv, backend="aot_eager", fullgraph=True)
    edges, changed, known = (knn_graph(x, 4) for _ in range(3))
    changed[1] = torch.arange(48) % 5
    turned = EdgeIndex(known.as_tensor().flip(0).contiguous(), sparse_size=(12, 12), sort_order="row")
    turned.get_csr(), turned.get_csc()
    for form in (edges, changed, turned.flip(0), edges):
        torch.testing.assert_close(compiled(x, form), conv(x, torch.tensor(form.tolist())))


def test_changed_edges_are_sorted_anew():
    edges = knn_graph(normal(12, 3), 4)
    edges.get_csr()
    edges[1] = torch.arange(48) % 5
    for order, row in (("row", 0), ("col", 1)):
        again = edges.sort_by(order, stable=True).values
        assert torch.equal(again.as_tensor(), edges.as_tensor()[:, edges.as_tensor()[row].argsort(stable=True)])
        check_known(again)


def test_workers_hand_edges_on():
    loader = DataLoader([data_of(knn_graph(normal(12, 3), 4))] * 2, 2, num_workers=1)
    edges = next(iter(loader)).edge_index
    plain = knn_graph(normal(12, 3), 4).as_tensor()
    assert torch.equal(edges.as_tensor(), torch.cat([plain, plain + 12], 1))
    assert torch.equal(utils.coalesce(edges).as_tensor(), utils.coalesce(edges.as_tensor()))


def test_this_version_of_pyg_was_looked_at():
    check_seen("torch_geometric", SEEN, "vig_pyg/graph/pyg_internals.py")


def test_pointers_are_where_the_edges_of_every_target_start():
    assert pointers_of(torch.tensor([1, 1, 3]), 5).tolist() == [0, 0, 2, 2, 3, 3]
    assert pointers_of(torch.tensor([], dtype=torch.long), 2).tolist() == [0, 0, 0]


def test_edges_bring_their_pointers():
    ptr = torch.tensor([0, 2, 2, 3])
    edges = sorted_edge_index(torch.tensor([[3, 0, 1], [0, 0, 2]]), (4, 3), ptr, 2)
    (found, index), order = edges.validate().get_csc()
    assert found is ptr and index.tolist() == [3, 0, 1] and order is None
    assert edges.sparse_size() == (4, 3) and edges.is_sorted_by_col and edges.max_degree == 2


@pytest.mark.parametrize(
    "kind", ["message_forward_pre_hook", "message_forward_hook", "aggregate_forward_pre_hook", "aggregate_forward_hook"]
)
def test_hooks_on_messages_are_noticed(kind):
    conv = MaxRelativeConv(4, 4)
    assert not messages_are_watched(conv)
    handle = getattr(conv, f"register_{kind}")(lambda *_: None)
    assert messages_are_watched(conv)
    handle.remove()
    assert not messages_are_watched(conv)
