import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vig_pyg.kernels import neighbor_max, neighbor_min, neighbor_sum
from vig_pyg.kernels.reduce import _extremum_scatter

drawn = settings(max_examples=25, deadline=None, derandomize=True)
neighbor_lists = st.lists(st.lists(st.integers(0, 5), max_size=6), min_size=1, max_size=7)


def compress(lists):
    ptr = torch.tensor([0, *(len(neighbors) for neighbors in lists)]).cumsum(0)
    index = torch.tensor([j for neighbors in lists for j in neighbors], dtype=torch.long)
    return ptr, index


def reduce(name, x, lists):
    ptr, index = compress(lists)
    if name == "sum":
        return neighbor_sum(x, ptr, index)
    function = {"max": neighbor_max, "min": neighbor_min}[name]
    return function(x, ptr, index, max(map(len, lists)))


def by_definition(name, x, lists):
    rows = []
    for neighbors in lists:
        row = []
        for channel in range(x.size(1)):
            values = [x[j, channel] for j in neighbors]
            pick = {"max": max, "min": min, "sum": sum}[name]
            row.append(pick(values) if values else x.new_zeros(()))
        rows.append(torch.stack([torch.as_tensor(value) for value in row]))
    return torch.stack(rows)


def distinct_values(seed, rows=6, channels=3):
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(rows * channels, generator=generator)
    return (order.double() - rows * channels / 2 + 0.25).view(rows, channels)


@pytest.mark.parametrize("name", ["max", "min", "sum"])
@drawn
@given(lists=neighbor_lists, seed=st.integers(0, 99))
def test_a_reduction_equals_its_definition_and_isolated_targets_get_zeros(name, lists, seed):
    x = distinct_values(seed)
    assert torch.equal(reduce(name, x, lists), by_definition(name, x, lists))


@pytest.mark.parametrize("name", ["max", "min", "sum"])
@drawn
@given(lists=neighbor_lists, seed=st.integers(0, 99))
def test_the_gradient_equals_that_of_the_definition(name, lists, seed):
    x = distinct_values(seed).requires_grad_()
    cotangent = torch.randn(len(lists), 3, dtype=torch.double, generator=torch.Generator().manual_seed(seed))
    (ours,) = torch.autograd.grad(reduce(name, x, lists), x, cotangent)
    reference = by_definition(name, x, lists)
    theirs = torch.zeros_like(x)
    if reference.requires_grad:
        (theirs,) = torch.autograd.grad(reference, x, cotangent)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", ["max", "min", "sum"])
def test_gradcheck_holds_with_isolated_targets_and_duplicate_neighbors(name):
    x = distinct_values(3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: reduce(name, x, [[0, 1, 1], [], [5, 2, 3, 4], [2]]), x)


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("degree", [1, 253, 254, 255, 256, 300])
def test_the_winner_is_remembered_at_every_degree_around_a_byte(name, degree):
    x = torch.arange(degree, dtype=torch.double).view(-1, 1).requires_grad_()
    order = list(range(degree)) if name == "max" else list(range(degree))[::-1]
    (gradient,) = torch.autograd.grad(reduce(name, x, [order, []]).sum(), x)
    winner = degree - 1 if name == "max" else 0
    assert gradient.nonzero().tolist() == [[winner, 0]]


@pytest.mark.parametrize("name", ["max", "min", "sum"])
def test_a_graph_without_edges_gives_zeros_and_no_gradient(name):
    x = distinct_values(0).requires_grad_()
    out = reduce(name, x, [[], []])
    assert torch.equal(out, torch.zeros(2, 3, dtype=torch.double))
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert torch.equal(gradient, torch.zeros_like(x))


@pytest.mark.parametrize("name", ["max", "min", "sum"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_of_the_features_is_kept(name, dtype):
    assert reduce(name, distinct_values(0).to(dtype), [[0, 1]]).dtype == dtype


@pytest.mark.parametrize("name", ["max", "min", "sum"])
def test_features_that_are_a_transposed_view_are_reduced_alike(name):
    x = distinct_values(1, rows=3, channels=6).T
    lists = [[0, 5], [3]]
    assert torch.equal(reduce(name, x, lists), reduce(name, x.contiguous(), lists))


@pytest.mark.parametrize("largest", [True, False])
@drawn
@given(lists=neighbor_lists, seed=st.integers(0, 99))
def test_the_form_for_other_devices_finds_the_same_values_and_winners(largest, lists, seed):
    x = distinct_values(seed)
    ptr, index = compress(lists)
    out, winner = _extremum_scatter(x, ptr, index, largest, True)
    assert torch.equal(out, by_definition("max" if largest else "min", x, lists))
    for target, neighbors in enumerate(lists):
        if neighbors:
            assert torch.equal(x[winner[target].long(), torch.arange(3)], out[target])


def test_the_form_for_other_devices_lets_not_a_number_win_inside_its_own_list():
    x = torch.tensor([[0.0], [torch.nan], [2.0]])
    ptr, index = compress([[0, 2], [2, 1, 0], []])
    out, winner = _extremum_scatter(x, ptr, index, True, True)
    assert out[1].isnan()
    assert winner[1].item() == 1


@pytest.mark.parametrize("name", ["max", "min", "sum"])
def test_the_operations_pass_the_checks_of_torch_library(name):
    x = distinct_values(2).requires_grad_()
    ptr, index = compress([[0, 1], [], [2, 3, 5]])
    if name == "sum":
        torch.library.opcheck(torch.ops.vig_pyg.neighbor_sum.default, (x, ptr, index))
    else:
        for center in (None, distinct_values(3, rows=3).requires_grad_()):
            arguments = (x, center, ptr, index, 3, name == "max", True)
            torch.library.opcheck(torch.ops.vig_pyg.neighbor_extremum.default, arguments)


@drawn
@given(lists=neighbor_lists, seed=st.integers(0, 99))
def test_a_center_is_subtracted_where_there_are_neighbors(lists, seed):
    x = distinct_values(seed).requires_grad_()
    center = torch.randn(len(lists), x.size(1), dtype=x.dtype, requires_grad=True)
    ptr, index = compress(lists)
    expected = by_definition("max", x, lists)
    expected = torch.stack([e - c if n else e for e, c, n in zip(expected, center, lists, strict=True)])
    assert torch.equal(neighbor_max(x, ptr, index, 6, center), expected)
    assert torch.autograd.gradcheck(lambda a, b: neighbor_max(a, ptr, index, 6, b), (x, center))
