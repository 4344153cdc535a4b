import pytest
import torch

from tests.card import Card, OnCard
from tests.kernels.triton.test_reduce import Launched, features
from vig_pyg.kernels import nearest_dense
from vig_pyg.kernels.bias import AxisBias
from vig_pyg.kernels.triton import search as triton_search


@pytest.mark.parametrize(
    ("queries", "keys", "channels", "k", "bias", "loop"),
    [(20, 20, 24, 8, False, True), (18, 30, 40, 15, True, True), (17, 17, 8, 4, False, False)],
)
def test_the_fused_search_finds_what_the_dense_one_does(
    queries: int, keys: int, channels: int, k: int, bias: bool, loop: bool
) -> None:
    q = features(2 * queries, channels).view(2, queries, channels)
    c = q if queries == keys else features(2 * keys, channels, seed=1).view(2, keys, channels)
    table = features(queries, keys, seed=2) if bias else None
    expected = nearest_dense(q.double(), c.double(), k, bias=None if table is None else table.double(), loop=loop)
    found = triton_search.nearest_fused(q, c, k, bias=table, loop=loop)
    assert torch.equal(found, expected)


def test_half_precision_is_read_as_it_is_and_compared_in_float32() -> None:
    q = features(40, 24, dtype=torch.bfloat16).view(2, 20, 24)
    expected = nearest_dense(q.double(), q.double(), 8)
    assert torch.equal(triton_search.nearest_fused(q, q, 8), expected)


def test_what_surrounds_the_kernel_stays_on_the_card_and_does_not_wait(monkeypatch) -> None:
    monkeypatch.setattr(triton_search, "_nearest_kernel", Launched())
    with Card() as card:
        q = torch.randn(2, 20, 24).to("cuda")
        found = triton_search.nearest_fused(q, q, 8, bias=q[0] @ q[0].T)
    assert isinstance(found, OnCard) and card.waits == [] and card.sent == 1


@pytest.mark.parametrize("pool", [1, 2])
def test_the_fused_search_adds_rows_and_columns(pool: int) -> None:
    height, width = 4, 6
    places = height // pool, width // pool
    q = features(2 * height * width, 8).view(2, -1, 8)
    c = features(2 * places[0] * places[1], 8, seed=1).view(2, -1, 8)
    bias = AxisBias(features(height, places[0], seed=2), features(width, places[1], seed=3))
    expected = nearest_dense(q.double(), c.double(), 4, bias=bias.table().double())
    assert torch.equal(triton_search.nearest_fused(q, c, 4, bias=bias), expected)
