import sys
from contextlib import nullcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.card import Card, gradients
from vig_pyg.kernels import (
    neighbor_max,
    neighbor_mean,
    neighbor_min,
    neighbor_softmax,
    neighbor_sum,
)
from vig_pyg.kernels.reduce import _extremum_scatter

drawn = settings(max_examples=25, deadline=None, derandomize=True)
neighbor_lists = st.lists(st.lists(st.integers(0, 5), max_size=6), min_size=1, max_size=7)

NAMES = ["max", "min", "sum", "mean"]
each_name = pytest.mark.parametrize("name", NAMES)
each_backend = pytest.mark.parametrize("backend", ["native", "torch_scatter"])


def compress(lists):
    ptr = torch.tensor([0, *(len(neighbors) for neighbors in lists)]).cumsum(0)
    index = torch.tensor([j for neighbors in lists for j in neighbors], dtype=torch.long)
    return ptr, index


def reduce(name, x, lists, backend="auto"):
    function = {"max": neighbor_max, "min": neighbor_min, "sum": neighbor_sum, "mean": neighbor_mean}[name]
    return function(x, *compress(lists), max(map(len, lists)), backend=backend)


def by_definition(name, x, lists):
    rows = []
    for neighbors in lists:
        row = []
        for channel in range(x.size(1)):
            values = [x[j, channel] for j in neighbors]
            pick = {"max": max, "min": min, "sum": sum, "mean": lambda values: sum(values) / len(values)}[name]
            row.append(pick(values) if values else x.new_zeros(()))
        rows.append(torch.stack([torch.as_tensor(value) for value in row]))
    return torch.stack(rows)


def distinct_values(seed, rows=6, channels=3):
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(rows * channels, generator=generator)
    return (order.double() - rows * channels / 2 + 0.25).view(rows, channels)


@each_name
@each_backend
@drawn
@given(lists=neighbor_lists, seed=st.integers(0, 99))
def test_a_reduction_equals_its_definition_and_isolated_targets_get_zeros(name, backend, lists, seed):
    x = distinct_values(seed)
    assert torch.equal(reduce(name, x, lists, backend), by_definition(name, x, lists))


@each_name
@each_backend
@drawn
@given(lists=neighbor_lists, seed=st.integers(0, 99))
def test_the_gradient_equals_that_of_the_definition(name, backend, lists, seed):
    x = distinct_values(seed).requires_grad_()
    cotangent = torch.randn(len(lists), 3, dtype=torch.double, generator=torch.Generator().manual_seed(seed))
    (ours,) = torch.autograd.grad(reduce(name, x, lists, backend), x, cotangent)
    reference = by_definition(name, x, lists)
    theirs = torch.zeros_like(x)
    if reference.requires_grad:
        (theirs,) = torch.autograd.grad(reference, x, cotangent)
    torch.testing.assert_close(ours, theirs)


@each_name
@each_backend
def test_gradcheck_holds_with_isolated_targets_and_duplicate_neighbors(name, backend):
    x = distinct_values(3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: reduce(name, x, [[0, 1, 1], [], [5, 2, 3, 4], [2]], backend), x)


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("degree", [1, 253, 254, 255, 256, 300])
@each_backend
def test_the_winner_is_remembered_at_every_degree_around_a_byte(name, degree, backend):
    x = torch.arange(degree, dtype=torch.double).view(-1, 1).requires_grad_()
    order = list(range(degree)) if name == "max" else list(range(degree))[::-1]
    (gradient,) = torch.autograd.grad(reduce(name, x, [order, []], backend).sum(), x)
    winner = degree - 1 if name == "max" else 0
    assert gradient.nonzero().tolist() == [[winner, 0]]


@each_name
@each_backend
def test_a_graph_without_edges_gives_zeros_and_no_gradient(name, backend):
    x = distinct_values(0).requires_grad_()
    out = reduce(name, x, [[], []], backend)
    assert torch.equal(out, torch.zeros(2, 3, dtype=torch.double))
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert torch.equal(gradient, torch.zeros_like(x))


@each_name
@each_backend
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_type_of_the_features_is_kept(name, dtype, backend):
    assert reduce(name, distinct_values(0).to(dtype), [[0, 1]], backend).dtype == dtype


@each_name
@each_backend
def test_features_that_are_a_transposed_view_are_reduced_alike(name, backend):
    x = distinct_values(1, rows=3, channels=6).T
    lists = [[0, 5], [3]]
    assert torch.equal(reduce(name, x, lists, backend), reduce(name, x.contiguous(), lists, backend))


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


@pytest.mark.parametrize("name", ["max", "min", "sum", "softmax"])
@each_backend
def test_the_operations_pass_the_checks_of_torch_library(name, backend):
    x = distinct_values(2).requires_grad_()
    ptr, index = compress([[0, 1], [], [2, 3, 5]])
    if name == "softmax":
        torch.library.opcheck(
            torch.ops.vig_pyg.neighbor_softmax.default, (x[:5].detach().requires_grad_(), ptr, 3, backend)
        )
    elif name == "sum":
        torch.library.opcheck(torch.ops.vig_pyg.neighbor_sum.default, (x, ptr, index, backend))
    else:
        for center in (None, distinct_values(3, rows=3).requires_grad_()):
            arguments = (x, center, ptr, index, 3, name == "max", True, backend)
            torch.library.opcheck(torch.ops.vig_pyg.neighbor_extremum.default, arguments)


@each_backend
@drawn
@given(lists=neighbor_lists, seed=st.integers(0, 99))
def test_a_center_is_subtracted_where_there_are_neighbors(backend, lists, seed):
    x = distinct_values(seed).requires_grad_()
    center = torch.randn(len(lists), x.size(1), dtype=x.dtype, requires_grad=True)
    ptr, index = compress(lists)
    expected = by_definition("max", x, lists)
    expected = torch.stack([e - c if n else e for e, c, n in zip(expected, center, lists, strict=True)])
    assert torch.equal(neighbor_max(x, ptr, index, 6, center, backend=backend), expected)
    assert torch.autograd.gradcheck(lambda a, b: neighbor_max(a, ptr, index, 6, b, backend=backend), (x, center))


@pytest.mark.parametrize("name", ["max", "min"])
@each_backend
def test_of_equal_neighbors_one_gets_the_gradient(name, backend):
    x = torch.ones(4, 2, dtype=torch.double, requires_grad=True)
    (gradient,) = torch.autograd.grad(reduce(name, x, [[1, 2, 1], [3, 0]], backend).sum(), x)
    assert gradient[1:3].sum(0).tolist() == gradient[[0, 3]].sum(0).tolist() == [1, 1]
    assert set(gradient.flatten().tolist()) == {0, 1}


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@each_backend
def test_values_that_are_not_finite_are_compared_like_others(name, dtype, backend):
    sign = 1 if name == "max" else -1
    x = sign * torch.tensor([[-torch.inf], [torch.nan], [2.0], [torch.inf]], dtype=dtype)
    x.requires_grad_()
    out = reduce(name, x, [[0, 0], [0, 2], [2, 3], [2, 1], []], backend)
    expected = sign * torch.tensor([-torch.inf, 2, torch.inf, torch.nan, 0], dtype=dtype)
    torch.testing.assert_close(out.flatten(), expected, rtol=0, atol=0, equal_nan=True)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert gradient.flatten().tolist() == [1, 1, 1, 1]


@each_backend
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sums_and_means_of_half_precision_lose_nothing_on_the_way(dtype, backend):
    x = torch.full((4000, 1), 30.0, dtype=dtype).requires_grad_()
    mean = reduce("mean", x, [list(range(4000))], backend)
    assert mean.item() == 30
    (gradient,) = torch.autograd.grad(reduce("sum", x, [[0]] * 4000, backend).sum(), x)
    assert gradient[0].item() == torch.tensor(4000.0, dtype=dtype).item()


@each_name
@each_backend
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_a_graph_of_either_type_of_integers_is_reduced(name, backend, dtype):
    lists = [[0, 2], [], [1, 3, 5]]
    ptr, index = (part.to(dtype) for part in compress(lists))
    x = distinct_values(0).requires_grad_()
    function = {"max": neighbor_max, "min": neighbor_min, "sum": neighbor_sum, "mean": neighbor_mean}[name]
    out = function(x, ptr, index, 3, backend=backend)
    assert torch.equal(out, by_definition(name, x, lists))
    out.sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("backend", ["auto", "torch_scatter"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_all_of_them_compile_into_one_graph(backend):
    lists = [[0, 1, 4], [], [2, 3, 5, 1]]
    ptr, index = compress(lists)

    def all_of_them(x):
        parts = [reduce(name, x, lists, backend) for name in NAMES]
        return torch.cat(parts, 1), neighbor_softmax(x[index], ptr, 4, backend=backend)

    x = distinct_values(0).requires_grad_()
    ours = torch.compile(all_of_them, fullgraph=True, backend="aot_eager")(x)
    expected = all_of_them(x)
    for out, reference in zip(ours, expected, strict=True):
        torch.testing.assert_close(out, reference)
    (gradient,) = torch.autograd.grad([out.sum() for out in ours], x)
    torch.testing.assert_close(gradient, torch.autograd.grad([out.sum() for out in expected], x)[0])


@each_name
def test_a_backend_that_cannot_reduce_is_refused(name):
    x = distinct_values(0)
    with pytest.raises(ValueError, match="backend must be one of auto, native, triton, torch_scatter, got 'cub'"):
        reduce(name, x, [[0]], "cub")
    with pytest.raises(ValueError, match="backend='triton' needs triton and features on a CUDA device, got cpu"):
        reduce(name, x, [[0]], "triton")


@each_name
def test_without_torch_scatter_it_is_refused_and_auto_does_without(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_scatter", None)
    x = distinct_values(0)
    with pytest.raises(ModuleNotFoundError, match="pip install --no-build-isolation torch_scatter"):
        reduce(name, x, [[0, 1]], "torch_scatter")
    assert torch.equal(reduce(name, x, [[0, 1]], "auto"), by_definition(name, x, [[0, 1]]))


@pytest.mark.parametrize("reduce", [neighbor_max, neighbor_sum])
@pytest.mark.parametrize("there", ["cpu", "cuda"])
def test_gradients_of_half_precision_are_added_in_float32(reduce, there: str, monkeypatch) -> None:
    monkeypatch.setattr("vig_pyg.kernels.backends.HAS_TRITON", False)
    x, count = torch.ones(1, 1, dtype=torch.bfloat16), 300  # in bfloat16, 256 + 1 is 256
    ptr, index = torch.arange(count + 1), torch.zeros(count, dtype=torch.long)
    with nullcontext() if there == "cpu" else Card():
        leaf = x.to(there).requires_grad_()
        out = reduce(leaf, ptr.to(there), index.to(there), 1)
        if there == "cpu":
            grad = torch.autograd.grad(out.sum(), leaf)[0]
        else:
            grad = gradients(out.sum())[id(leaf)].here
            out = out.cpu()
    assert grad.item() == count and out.eq(1).all()


def test_sums_of_half_precision_are_taken_in_float32_on_a_card(monkeypatch) -> None:
    monkeypatch.setattr("vig_pyg.kernels.backends.HAS_TRITON", False)
    x, ptr, index = torch.ones(1, 1, dtype=torch.bfloat16), torch.tensor([0, 300]), torch.zeros(300, dtype=torch.long)
    with Card():
        assert neighbor_sum(*(part.to("cuda") for part in (x, ptr, index))).item() == 300


@pytest.mark.parametrize("reduce", [neighbor_max, neighbor_sum])
def test_gradients_are_the_same_where_algorithms_are_deterministic(reduce) -> None:
    torch.manual_seed(0)
    ptr, index = torch.arange(101) * 9, torch.randint(0, 40, (900,))
    x, cotangent = torch.randn(40, 8, requires_grad=True), torch.randn(100, 8)
    expected = torch.autograd.grad(reduce(x, ptr, index, 9), x, cotangent)[0]
    torch.use_deterministic_algorithms(True)
    try:
        found = [torch.autograd.grad(reduce(x, ptr, index, 9), x, cotangent)[0] for _ in range(2)]
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(*found)
    torch.testing.assert_close(found[0], expected)
