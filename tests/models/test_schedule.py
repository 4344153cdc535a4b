"""Numbers that change from block to block, as the paper gives them."""

import pytest

from vig_pyg.models.schedule import given_options, growing_dilation, linear_steps, per_block


def test_neighbors_rise_linearly_and_dilation_every_four_blocks():
    assert linear_steps(9, 18, 12) == [9, 9, 10, 11, 12, 13, 13, 14, 15, 16, 17, 18]
    assert linear_steps(9, 18, 1) == [9]
    assert growing_dilation(12, 2) == [1] * 4 + [2] * 8


def test_one_number_serves_all_blocks_and_a_list_each_its_own():
    assert per_block("k", 4, 3) == [4, 4, 4] and per_block("k", (4, 5, 6), 3) == [4, 5, 6]


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ([4, 5], ValueError, "k has 2 entries for 3 blocks: give one number, or one per block"),
        (0, ValueError, "k must be at least 1, got 0"),
        ("4", TypeError, "k must be a whole number, got '4'"),
    ],
)
def test_another_number_of_them_is_refused(value, kind, message):
    with pytest.raises(kind, match=message):
        per_block("k", value, 3)


def test_what_the_graph_has_no_use_for_is_refused():
    assert given_options("knn", {"backend": "dense"}, 4, None, False) == {"backend": "dense"}
    with pytest.raises(TypeError, match="no option 'stochastic'"):
        given_options("grid", None, None, None, True)
    with pytest.raises(TypeError, match="graph_options may not hold 'k', which the model has a keyword for: k=4"):
        given_options("knn", {"k": 4}, None, None, False)
