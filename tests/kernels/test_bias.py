import pytest
import torch

from tests.kernels.test_search import normal
from vig_pyg.kernels.bias import AxisBias, add_bias


def by_axis(height, width, keys_high, keys_wide):
    return AxisBias(normal(height, keys_high), normal(width, keys_wide, seed=1))


def test_a_pair_gets_what_its_rows_and_its_columns_add():
    bias = by_axis(3, 4, 2, 5)
    expected = [
        [bias.rows[r, s] + bias.columns[c, d] for s in range(2) for d in range(5)] for r in range(3) for c in range(4)
    ]
    assert torch.equal(bias.table(), torch.tensor(expected, dtype=torch.double))


@pytest.mark.parametrize(("start", "count"), [(0, 12), (3, 7), (11, 1), (5, 0)])
def test_a_block_of_queries_gets_its_part_of_every_kind_of_bias(start, count):
    scores, bias = normal(count, 10, seed=2), by_axis(3, 4, 2, 5)
    table = bias.table()
    expected = scores + table[start : start + count]
    for kind in (bias, table, torch.stack([table + 1, table])):
        added = scores.clone()
        add_bias(added, kind, 1, start)
        torch.testing.assert_close(added, expected)
    unchanged = scores.clone()
    add_bias(unchanged, None, 0, start)
    assert torch.equal(unchanged, scores)


def test_all_images_get_the_same():
    scores, bias = normal(2, 12, 10, seed=2), by_axis(3, 4, 2, 5)
    added = scores.clone()
    bias.to(scores).add_to(added)
    torch.testing.assert_close(added, scores + bias.table())
    assert bias.to(torch.empty(0)).rows.dtype == torch.float32
