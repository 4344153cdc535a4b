import math

import pytest

from vig_pyg.study.claims import claims, paired_p


def test_p_is_that_of_the_t_distribution() -> None:
    # Differences 1, 2, 3: t = 2 / (1 / √3) = 2√3 with 2 degrees of freedom, whose distribution has a closed form.
    t = 2 * math.sqrt(3)
    assert paired_p([1, 2, 3], [0, 0, 0]) == pytest.approx(1 - t / math.sqrt(t * t + 2))


def test_differences_that_are_all_the_same_prove_nothing() -> None:
    assert paired_p([1.5, 2.5, 3.5], [1, 2, 3]) == paired_p([1], [0]) == 1


def test_only_what_the_test_shows_is_claimed() -> None:
    values = {"a": [90.0, 91.0, 92.0], "b": [95.0, 96.01, 97.02], "c": [90.5, 90.8, 92.1]}
    found = claims(values, {"a": "a", "b": "a", "c": "a"})
    assert found[0].startswith("“b” beats “a” by 5.01 points") and len(found) == 2
    assert "No row differs from “a”" in claims({"a": values["a"], "c": values["c"]}, {"a": "a", "c": "a"})[0]
    assert "One seed" in claims({"a": [1.0], "b": [9.0]}, {"a": "a", "b": "a"})[0]


def test_nothing_is_said_where_there_is_nothing_to_compare_with() -> None:
    assert claims({"edge": [90.0, 91.0]}, {"edge": "edge"}) == claims({"edge": [90.0]}, {"edge": "edge"}) == []
