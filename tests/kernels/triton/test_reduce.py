import pytest
import torch

from tests.card import Card, OnCard
from vig_pyg.kernels import neighbor_max, neighbor_min, neighbor_sum
from vig_pyg.kernels.triton import reduce as triton_reduce

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
GRAPHS = {
    "regular": [[0, 3, 2], [1, 4, 4], [5, 0, 1], [2, 2, 2]],
    "irregular": [[0, 1, 2, 3, 4, 5], [], [3], [5, 5]],
    "empty": [[], [], []],
}


@pytest.fixture(params=GRAPHS)
def graph(request) -> tuple[torch.Tensor, torch.Tensor]:
    lists = GRAPHS[request.param]
    ptr = torch.tensor([0, *map(len, lists)]).cumsum(0)
    return ptr.to(DEVICE), torch.tensor([j for row in lists for j in row], dtype=torch.long, device=DEVICE)


def features(rows: int, channels: int, seed: int = 0, dtype=torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, channels, generator=generator).to(DEVICE, dtype)


@pytest.mark.parametrize("channels", [1, 20, 300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("largest", [True, False])
def test_the_extremum_equals_that_of_the_reference(graph, channels: int, dtype: torch.dtype, largest: bool) -> None:
    x = features(6, channels, dtype=dtype)
    reference = neighbor_max if largest else neighbor_min
    expected = reference(x.cpu().double(), *(g.cpu() for g in graph), 6)
    out, _ = triton_reduce.extremum(x, None, *graph, largest, False)
    assert torch.equal(out.cpu().double(), expected)


def test_a_center_is_subtracted_where_there_are_neighbors(graph) -> None:
    x, center = features(6, 20), features(len(graph[0]) - 1, 20, seed=1)
    expected = neighbor_max(x.cpu(), *(g.cpu() for g in graph), 6, center.cpu())
    out, _ = triton_reduce.extremum(x, center, *graph, True, False)
    assert torch.equal(out.cpu(), expected)


@pytest.mark.parametrize("by_source", [True, False])
@pytest.mark.parametrize("largest", [True, False])
def test_the_gradient_goes_to_the_winners(graph, largest: bool, by_source: bool) -> None:
    x = features(6, 20)
    leaf = x.cpu().double().requires_grad_()
    reference = neighbor_max if largest else neighbor_min
    expected = reference(leaf, *(g.cpu() for g in graph), 6)
    grad = features(len(graph[0]) - 1, 20, seed=2)
    expected.backward(grad.cpu().double())
    _, slots = triton_reduce.extremum(x, None, *graph, largest, True)
    assert slots.dtype == torch.uint8
    ours = triton_reduce.extremum_backward(grad, slots, *graph, 6, by_source)
    torch.testing.assert_close(ours.cpu().double(), leaf.grad, rtol=1e-6, atol=1e-6)


def test_not_a_number_wins_its_list() -> None:
    x = torch.tensor([[0.0], [torch.nan], [2.0]], device=DEVICE)
    ptr, index = torch.tensor([0, 2, 5], device=DEVICE), torch.tensor([0, 2, 2, 1, 0], device=DEVICE)
    out, slots = triton_reduce.extremum(x, None, ptr, index, True, True)
    assert out[0].item() == 2 and out[1].isnan() and slots.flatten().tolist() == [1, 1]


@pytest.mark.parametrize("by_source", [True, False])
def test_the_sum_and_its_gradient_equal_those_of_the_reference(graph, by_source: bool) -> None:
    x = features(6, 40)
    leaf = x.cpu().double().requires_grad_()
    expected = neighbor_sum(leaf, *(g.cpu() for g in graph))
    grad = features(len(graph[0]) - 1, 40, seed=2)
    expected.backward(grad.cpu().double())
    out = triton_reduce.neighbor_sum(x, *graph)
    torch.testing.assert_close(out.cpu().double(), expected.detach(), rtol=1e-6, atol=1e-6)
    ours = triton_reduce.neighbor_sum_backward(grad, *graph, 6, by_source)
    torch.testing.assert_close(ours.cpu().double(), leaf.grad, rtol=1e-6, atol=1e-6)


def close_values(rows: int, channels: int) -> torch.Tensor:
    """Values that float32 takes for one and the same."""
    return 1 + 1e-12 * features(rows, channels, dtype=torch.float64)


@pytest.mark.parametrize("by_source", [True, False])
@pytest.mark.parametrize("largest", [True, False])
def test_extrema_of_float64_and_their_gradient_are_taken_in_float64(graph, largest: bool, by_source: bool) -> None:
    x = close_values(6, 20)
    leaf = x.cpu().requires_grad_()
    expected = (neighbor_max if largest else neighbor_min)(leaf, *(g.cpu() for g in graph), 6)
    grad = close_values(len(graph[0]) - 1, 20)
    expected.backward(grad.cpu())
    out, slots = triton_reduce.extremum(x, None, *graph, largest, True)
    assert torch.equal(out.cpu(), expected)
    ours = triton_reduce.extremum_backward(grad, slots, *graph, 6, by_source)
    torch.testing.assert_close(ours.cpu(), leaf.grad, rtol=1e-15, atol=0)


def test_sums_of_float64_and_their_gradient_are_taken_in_float64(graph) -> None:
    x, grad = close_values(6, 20), close_values(len(graph[0]) - 1, 20)
    leaf = x.cpu().requires_grad_()
    expected = neighbor_sum(leaf, *(g.cpu() for g in graph))
    expected.backward(grad.cpu())
    torch.testing.assert_close(triton_reduce.neighbor_sum(x, *graph).cpu(), expected.detach(), rtol=1e-15, atol=0)
    ours = triton_reduce.neighbor_sum_backward(grad, *graph, 6)
    torch.testing.assert_close(ours.cpu(), leaf.grad, rtol=1e-15, atol=0)


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def sums_in_order(rows: torch.Tensor) -> torch.Tensor:
    """Add rows one after the other, from zero, rounding each time."""
    total = torch.zeros_like(rows[0])
    for row in rows:
        total = total + row
    return total


def test_gradients_are_added_in_the_order_of_targets_where_algorithms_are_deterministic(deterministic) -> None:
    targets, channels = 40, 20  # every target takes source 1 for its largest, in another slot each
    index = torch.tensor([0, 1, 2]).repeat(targets).view(targets, 3).roll(1, 1)
    index[::2] = index[::2].roll(1, 1)
    ptr = torch.arange(targets + 1, device=DEVICE) * 3
    x = torch.tensor([[0.0], [2.0], [1.0]]).expand(-1, channels).to(DEVICE)
    grad = 10.0 ** features(targets, channels, seed=3)  # sums depend on their order
    _, slots = triton_reduce.extremum(x, None, ptr, index.flatten().to(DEVICE), True, True)
    expected = sums_in_order(grad)
    of_maximum = triton_reduce.extremum_backward(grad, slots, ptr, index.flatten().to(DEVICE), 3)
    of_sum = triton_reduce.neighbor_sum_backward(grad, ptr, index.flatten().to(DEVICE), 3)
    assert not torch.equal(expected, sums_in_order(grad.flip(0)))
    assert torch.equal(of_maximum[1], expected) and of_maximum[::2].eq(0).all()
    assert torch.equal(of_sum, expected.expand(3, -1))


def test_edges_by_source_are_all_edges() -> None:
    ptr, index = torch.tensor([0, 2, 2, 5]), torch.tensor([3, 0, 0, 3, 1])
    back, order, target = triton_reduce.sorted_by_source(ptr, index, 5)
    assert back.tolist() == [0, 2, 3, 3, 5, 5] and order.tolist() == [1, 2, 4, 0, 3]
    assert target.tolist() == [0, 2, 2, 0, 2]


class Launched:
    """Stands for a kernel: looks at where its tensors are."""

    def __getitem__(self, grid: tuple[int, ...]):
        return self.launch

    def launch(self, *args, **constants) -> None:
        assert all(isinstance(each, OnCard) for each in args if isinstance(each, torch.Tensor))


@pytest.mark.parametrize("by_source", [True, False])
def test_what_surrounds_the_kernels_stays_on_the_card_and_does_not_wait(by_source: bool, monkeypatch) -> None:
    for name in [name for name in vars(triton_reduce) if name.endswith("_kernel")]:
        monkeypatch.setattr(triton_reduce, name, Launched())
    x, (ptr, index) = torch.randn(6, 20), (torch.tensor([0, 3, 6]), torch.tensor([0, 3, 2, 1, 4, 4]))
    with Card() as card:
        x, ptr, index = (part.to("cuda") for part in (x, ptr, index))
        sent = card.sent
        out, slots = triton_reduce.extremum(x, x[:2], ptr, index, True, True)
        grads = triton_reduce.extremum_backward(out, slots, ptr, index, 6, by_source)
        total = triton_reduce.neighbor_sum(x, ptr, index)
        grads_of_sum = triton_reduce.neighbor_sum_backward(total, ptr, index, 6, by_source)
    assert all(isinstance(each, OnCard) for each in (out, slots, grads, total, grads_of_sum))
    assert card.waits == [] and card.sent == sent
