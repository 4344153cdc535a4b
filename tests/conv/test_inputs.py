"""What operators do not accept is refused in one sentence."""

import pytest
import torch
from torch_geometric import EdgeIndex

from vig_pyg.conv import EdgeConv, GINConv, MaxRelativeConv, SAGEConv
from vig_pyg.conv.inputs import check_nodes_for
from vig_pyg.graph.edges import edges_from_list

IN, OUT = 8, 12
every_operator = pytest.mark.parametrize("operator", [MaxRelativeConv, EdgeConv, GINConv, SAGEConv])


def one_sentence(error):
    text = str(error.value)
    return "\n" not in text and len(text) < 160


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([(-1, 0)], "source -1"),
        ([(5, 0)], r"source 5, but there are 5 source nodes, 0 to 4"),
        ([(0, -3)], "target -3"),
        ([(0, 1), (0, 3)], r"target 3, but there are 3 target nodes, 0 to 2"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda e: e, EdgeIndex])
@every_operator
def test_an_edge_that_points_outside_is_refused(operator, wrap, edges, message):
    x = (torch.zeros(5, IN), torch.zeros(3, IN))
    with pytest.raises(ValueError, match=message) as error:
        operator(IN, OUT)(x, wrap(torch.tensor(edges).T.contiguous()))
    assert one_sentence(error)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(5), r"\[nodes, 8\], got \[5\]"),
        (torch.zeros(1, 5, 8), r"got \[1, 5, 8\]"),
        (torch.zeros(5, 7), r"got \[5, 7\]"),
        ((torch.zeros(5, 8), torch.zeros(5, 9)), r"got \[5, 9\]"),
    ],
)
@every_operator
def test_features_of_another_rank_or_width_are_refused(operator, x, message):
    with pytest.raises(ValueError, match=message) as error:
        operator(IN, OUT)(x, torch.tensor([[0], [1]]))
    assert one_sentence(error)


@pytest.mark.parametrize("channels", [IN, -1, (-1, -1), (IN, -1)])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        ((None, torch.zeros(5, IN)), r"the sources of \(x_source, x_target\) must be a tensor, got NoneType"),
        ((None, None), "the sources of .* must be a tensor, got NoneType"),
        ((torch.zeros(5, IN), [1.0]), "the targets of .* must be a tensor or None, got list"),
        (torch.zeros(5), r"must have shape \[nodes, .*\], got \[5\]"),
        ((torch.zeros(5, IN), torch.zeros(1, 5, IN)), r"must have shape \[nodes, .*\], got \[1, 5, 8\]"),
    ],
)
@every_operator
def test_features_that_are_no_matrix_of_every_set_of_nodes_are_refused(operator, x, message, channels):
    conv = operator(channels, OUT)
    with pytest.raises((TypeError, ValueError), match=message) as error:
        conv(x, torch.tensor([[0], [1]]))
    assert one_sentence(error)
    whole = torch.ones(5, IN), None
    assert conv(whole, torch.tensor([[0], [1]]), size=(5, 2)).shape == (2, OUT)  # it is as it was


@every_operator
def test_features_that_are_whole_numbers_are_refused(operator):
    with pytest.raises(
        TypeError, match=r"must be torch\.float32 as the operator's weights are, got torch\.int64"
    ) as error:
        operator(IN, OUT)(torch.zeros(5, IN, dtype=torch.long), torch.tensor([[0], [1]]))
    assert one_sentence(error)


@pytest.mark.parametrize(
    ("edges", "kind", "message"),
    [
        (torch.zeros(2, 3), TypeError, r"whole numbers, got torch\.float32"),
        (torch.zeros(2, 3, dtype=torch.bool), TypeError, r"whole numbers, got torch\.bool"),
        (torch.zeros(3, 2, dtype=torch.long), ValueError, r"shape \[2, edges\], got \[3, 2\]"),
        (torch.zeros(4, dtype=torch.long), ValueError, r"got \[4\]"),
        (torch.zeros(4, 3).to_sparse_coo(), ValueError, "links 3 to 4 nodes, but x holds 5 and 5"),
    ],
)
@every_operator
def test_edges_of_another_kind_or_shape_are_refused(operator, edges, kind, message):
    with pytest.raises(kind, match=message) as error:
        operator(IN, OUT)(torch.zeros(5, IN), edges)
    assert one_sentence(error)


@pytest.mark.parametrize("heads", [0, -2])
@every_operator
def test_heads_below_one_are_refused(operator, heads):
    with pytest.raises(ValueError, match=f"^heads must be at least 1, got {heads}$"):
        operator(IN, OUT, heads=heads)


@pytest.mark.parametrize("heads", [3, 5])
@every_operator
def test_heads_that_do_not_divide_the_channels_are_refused(operator, heads):
    sentence = f"heads={heads} must divide" if heads > 0 else f"heads must be at least 1, got {heads}"
    with pytest.raises(ValueError, match=sentence):
        operator(IN, OUT, heads=heads)


@pytest.mark.parametrize("wrap", [lambda e: e, EdgeIndex, lambda e: edges_from_list(e, 6, 6)])
@every_operator
def test_edges_that_are_changed_in_place_between_two_calls_are_used_as_they_are(operator, wrap):
    torch.manual_seed(0)
    conv, x = operator(IN, OUT), torch.randn(6, IN)
    edges = wrap(torch.tensor([[0, 1, 2, 3, 4], [5, 5, 0, 1, 1]]))
    before = conv(x, edges)
    edges[1] = torch.tensor([0, 3, 2, 2, 2])
    after = conv(x, edges)
    torch.testing.assert_close(after, conv(x, torch.tensor(edges.tolist())))
    assert not torch.allclose(before, after)
    edges[0, 0] = 6
    with pytest.raises(ValueError, match="source 6, but there are 6 source nodes"):
        conv(x, edges)


def test_nodes_are_checked_against_a_weight():
    weight = torch.zeros(3, 4)
    check_nodes_for(weight, 4, torch.zeros(2, 4), torch.zeros(0, 4))
    for x, message in (
        (torch.zeros(2, 5), r"\[nodes, 4\], got \[2, 5\]"),
        (torch.zeros(2, 4).double(), "must be torch.float32"),
        (torch.zeros(2, 4, device="meta"), "are on meta"),
        (torch.zeros(2, 4).to_sparse(), "must be a dense tensor"),
        (None, "got NoneType"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            check_nodes_for(weight, 4, torch.zeros(2, 4), x)
