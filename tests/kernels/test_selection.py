"""Selection in one step and in two, against sorting, ties included."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vig_pyg.kernels import selection
from vig_pyg.kernels.selection import RUN, best_columns, best_in_cache


def scores_of(rows, columns, values, seed):
    """Scores with many ties where ``values`` are few."""
    drawn = torch.randint(-values, values + 1, (rows, columns), generator=torch.Generator().manual_seed(seed))
    return drawn / values


def best_by_rule(scores, k):
    """Of equal scores, the higher column where they are at least zero, else the lower."""
    return torch.tensor(
        [sorted(range(len(row)), key=lambda c: (-row[c], -c if row[c] >= 0 else c))[:k] for row in scores.tolist()]
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 6 * RUN), st.integers(1, 4), st.sampled_from([1, 3, 10**6]), st.integers(0, 999), st.data())
def test_short_rows_are_sorted(columns, rows, values, seed, data):
    k = data.draw(st.integers(1, columns))
    scores = scores_of(rows, columns, values, seed)
    assert torch.equal(best_columns(scores, k), best_by_rule(scores, k))


@pytest.mark.parametrize("values", [1, 20, 10**7])
@pytest.mark.parametrize("k", [1, 4, 13])
@pytest.mark.parametrize("columns", [RUN * 29, RUN * 40, RUN * 40 + 1, RUN * 41 - 1, RUN * 300 + 7])
def test_long_rows_are_selected_from_in_steps_with_the_same_ties(columns, k, values):
    scores = scores_of(3, columns, values, columns)
    assert torch.equal(best_in_cache(scores, k), best_by_rule(scores, k))
    assert torch.equal(best_in_cache(-scores.abs(), k), best_by_rule(-scores.abs(), k))


def test_few_scores_of_a_long_row_that_count_are_all_found():
    lowest = torch.finfo(torch.float32).min
    scores = torch.full((2, RUN * 40 + 5), lowest)
    scores[:, -3:] = torch.tensor([1.0, 3.0, 2.0])
    assert best_in_cache(scores, 4).tolist() == [[RUN * 40 + 3, RUN * 40 + 4, RUN * 40 + 2, 0]] * 2


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_what_is_not_finite_is_ranked_as_torch_does(value):
    scores = torch.arange(RUN * 40.0).repeat(2, 1)
    scores[1, [3, 700]] = value
    expected = scores.topk(5).values
    for found in (best_in_cache(scores, 5), best_columns(scores, 5)):
        torch.testing.assert_close(scores.gather(1, found), expected, equal_nan=True)


def test_pieces_that_stay_in_the_cache_change_nothing(monkeypatch):
    scores = scores_of(60, 50, 5, 0).view(3, 20, 50)
    expected = best_columns(scores, 7)
    monkeypatch.setattr(selection, "CACHED_SCORES", 170)
    assert torch.equal(best_columns(scores, 7), expected) and expected.shape == (3, 20, 7)
