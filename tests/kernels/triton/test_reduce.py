import pytest
import torch

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


@pytest.mark.parametrize("largest", [True, False])
def test_the_gradient_goes_to_the_winners(graph, largest: bool) -> None:
    x = features(6, 20)
    leaf = x.cpu().double().requires_grad_()
    reference = neighbor_max if largest else neighbor_min
    expected = reference(leaf, *(g.cpu() for g in graph), 6)
    grad = features(len(graph[0]) - 1, 20, seed=2)
    expected.backward(grad.cpu().double())
    _, slots = triton_reduce.extremum(x, None, *graph, largest, True)
    assert slots.dtype == torch.uint8
    ours = triton_reduce.extremum_backward(grad, slots, *graph, 6)
    torch.testing.assert_close(ours.cpu().double(), leaf.grad, rtol=1e-6, atol=1e-6)


def test_not_a_number_wins_its_list() -> None:
    x = torch.tensor([[0.0], [torch.nan], [2.0]], device=DEVICE)
    ptr, index = torch.tensor([0, 2, 5], device=DEVICE), torch.tensor([0, 2, 2, 1, 0], device=DEVICE)
    out, slots = triton_reduce.extremum(x, None, ptr, index, True, True)
    assert out[0].item() == 2 and out[1].isnan() and slots.flatten().tolist() == [1, 1]


def test_the_sum_and_its_gradient_equal_those_of_the_reference(graph) -> None:
    x = features(6, 40)
    leaf = x.cpu().double().requires_grad_()
    expected = neighbor_sum(leaf, *(g.cpu() for g in graph))
    grad = features(len(graph[0]) - 1, 40, seed=2)
    expected.backward(grad.cpu().double())
    out = triton_reduce.neighbor_sum(x, *graph)
    torch.testing.assert_close(out.cpu().double(), expected.detach(), rtol=1e-6, atol=1e-6)
    ours = triton_reduce.neighbor_sum_backward(grad, *graph, 6)
    torch.testing.assert_close(ours.cpu().double(), leaf.grad, rtol=1e-6, atol=1e-6)


def close_values(rows: int, channels: int) -> torch.Tensor:
    """Values that float32 takes for one and the same."""
    return 1 + 1e-12 * features(rows, channels, dtype=torch.float64)


@pytest.mark.parametrize("largest", [True, False])
def test_extrema_of_float64_and_their_gradient_are_taken_in_float64(graph, largest: bool) -> None:
    x = close_values(6, 20)
    leaf = x.cpu().requires_grad_()
    expected = (neighbor_max if largest else neighbor_min)(leaf, *(g.cpu() for g in graph), 6)
    grad = close_values(len(graph[0]) - 1, 20)
    expected.backward(grad.cpu())
    out, slots = triton_reduce.extremum(x, None, *graph, largest, True)
    assert torch.equal(out.cpu(), expected)
    ours = triton_reduce.extremum_backward(grad, slots, *graph, 6)
    torch.testing.assert_close(ours.cpu(), leaf.grad, rtol=1e-15, atol=0)


def test_sums_of_float64_and_their_gradient_are_taken_in_float64(graph) -> None:
    x, grad = close_values(6, 20), close_values(len(graph[0]) - 1, 20)
    leaf = x.cpu().requires_grad_()
    expected = neighbor_sum(leaf, *(g.cpu() for g in graph))
    expected.backward(grad.cpu())
    torch.testing.assert_close(triton_reduce.neighbor_sum(x, *graph).cpu(), expected.detach(), rtol=1e-15, atol=0)
    ours = triton_reduce.neighbor_sum_backward(grad, *graph, 6)
    torch.testing.assert_close(ours.cpu(), leaf.grad, rtol=1e-15, atol=0)
