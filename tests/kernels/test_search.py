import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vig_pyg.kernels import linear, nearest_blockwise, nearest_dense
from vig_pyg.kernels.bias import AxisBias

drawn = settings(max_examples=25, deadline=None, derandomize=True)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def best_by_sorting(scores, k):
    return scores.sort(dim=2, descending=True).indices[..., :k]


@drawn
@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 8), st.integers(0, 99), st.data())
def test_dense_search_takes_the_largest_inner_products_in_order(batch, n, m, seed, data):
    k = data.draw(st.integers(1, m))
    queries, keys = normal(batch, n, 4, seed=seed), normal(batch, m, 4, seed=seed + 1)
    scores = torch.einsum("bnc,bmc->bnm", queries, keys)
    assert torch.equal(nearest_dense(queries, keys, k), best_by_sorting(scores, k))


def test_dense_search_adds_the_bias_to_the_scores_of_every_image():
    queries, keys, bias = normal(2, 5, 4), normal(2, 7, 4, seed=1), 3 * normal(5, 7, seed=2)
    scores = torch.einsum("bnc,bmc->bnm", queries, keys) + bias
    assert torch.equal(nearest_dense(queries, keys, 3, bias=bias), best_by_sorting(scores, 3))


@pytest.mark.parametrize("search", [nearest_dense, nearest_blockwise])
def test_without_loops_no_node_finds_itself(search):
    points = unit(normal(2, 9, 4))
    scores = points @ points.transpose(1, 2)
    scores.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    assert torch.equal(search(points, points, 4, loop=False), best_by_sorting(scores, 4))


@pytest.mark.parametrize("block_scores", [1, 6, 7, 20, 41, 10_000])
@pytest.mark.parametrize("loop", [True, False])
def test_blockwise_search_equals_dense_search_at_any_block_size(block_scores, loop):
    queries = normal(3, 7, 4)
    keys = queries if not loop else normal(3, 6, 4, seed=1)
    found = nearest_blockwise(queries, keys, 4, loop=loop, block_scores=block_scores)
    assert torch.equal(found, nearest_dense(queries, keys, 4, loop=loop))


def whole(*shape, seed=0):
    """Whole numbers, of which float32 makes exact products, with many ties."""
    return torch.randint(-3, 4, shape, generator=torch.Generator().manual_seed(seed)).float()


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("block_scores", [None, 5000])
@pytest.mark.parametrize("kind", ["none", "loop", "table", "per image", "axes"])
def test_blockwise_search_of_single_precision_is_exact_with_or_without_onednn(kind, block_scores, enabled, monkeypatch):
    """Where oneDNN multiplies, keys are packed for several blocks and long rows are selected from in steps."""
    height, width, keys_high, keys_wide = 10, 15, 30, 50
    queries, keys = whole(2, height * width, 16), whole(2, keys_high * keys_wide, 16, seed=1)
    axes = AxisBias(whole(height, keys_high, seed=2), whole(width, keys_wide, seed=3))
    per_image = torch.stack([axes.table(), axes.table() + 1])
    bias = {"axes": axes, "table": axes.table(), "per image": per_image}.get(kind)
    loop = kind != "loop"
    keys = keys if loop else queries
    if not enabled:
        monkeypatch.setattr(linear, "may_call_onednn", lambda: False)
    found = nearest_blockwise(queries, keys, 7, bias=bias, loop=loop, block_scores=block_scores)
    dense = nearest_dense(queries, keys, 7, bias=bias, loop=loop)
    scores = queries @ keys.mT + (0 if bias is None else per_image if kind == "per image" else axes.table())
    if not loop:
        scores.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    assert torch.equal(scores.gather(2, found), scores.sort(2, descending=True).values[..., :7])
    assert torch.equal(found, dense)  # ties too


def test_blockwise_search_takes_points_with_gaps_between_them():
    queries, keys = normal(1, 40, 300).float().mT, normal(1, 40, 200, seed=1).float().mT
    found = nearest_blockwise(queries, keys, 5)
    assert torch.equal(found, nearest_dense(queries.double(), keys.double(), 5))


def test_blockwise_search_holds_no_more_scores_than_it_may(monkeypatch):
    seen = []
    matmul = torch.Tensor.__matmul__

    def spy(a, b):
        seen.append(matmul(a, b).numel())
        return matmul(a, b)

    monkeypatch.setattr(torch.Tensor, "__matmul__", spy)
    nearest_blockwise(normal(2, 50, 3), normal(2, 20, 3, seed=1), 4, block_scores=100)
    assert max(seen) <= 100
    assert sum(seen) == 2 * 50 * 20
