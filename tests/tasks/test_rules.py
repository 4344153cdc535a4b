"""Rules say what a value may be, at their borders too."""

import math
from dataclasses import dataclass, fields
from typing import Any

import pytest

from vig_pyg.tasks.rules import Rule, check_range, check_type, key, require, rule_of


@pytest.mark.parametrize(
    ("rule", "right", "wrong", "wanted"),
    [
        (Rule(1, 5), [1, 5, 2.5, [1, 2], "text", None], [0, 0.99, [1, 0]], "at least 1"),
        (Rule(1, 5), [], [5.01, math.inf], "at most 5"),
        (Rule(1, above=True), [1.01], [1, 0], "above 1"),
        (Rule(0, 1), [0, 1, 0.5], [-0.1, 1.1], "between 0 and 1"),
        (Rule(0, 1, above=True), [1, 0.1], [0, 1.1], "above 0 and at most 1"),
        (Rule(words=("a", "b")), ["a", "b"], ["c"], "one of a, b"),
    ],
)
def test_what_would_be_right_is_said_of_what_is_not(rule, right, wrong, wanted):
    assert [rule.violation(value) for value in right] == [None] * len(right)
    assert [rule.violation(value) for value in wrong] == [wanted] * len(wrong)


@pytest.mark.parametrize(
    ("kind", "right", "wrong", "wanted"),
    [
        (int, [1], [True, 1.0, "1", None], "a whole number"),
        (float, [1, 1.5], [math.nan, math.inf, "1", True], "a finite number"),
        (int | None, [1, None], [1.5], "a whole number or null"),
        (bool, [True], [1], "true or false"),
        (list[int], [[], [1]], [[1.5], 1], "a list of whole numbers"),
        (dict[str, Any], [{}], [[]], "a mapping"),
    ],
)
def test_a_type_is_that_of_yaml(kind, right, wrong, wanted):
    for value in right:
        check_type("name", value, kind)
    for value in wrong:
        with pytest.raises(ValueError, match=f"^name must be {wanted}, got "):
            check_type("name", value, kind)


@dataclass
class Keys:
    image_size: int | None = key(None, 1, 8192)
    options: dict = key({})
    plain: int = 3


def test_a_key_has_its_default_and_its_rule():
    size, options, plain = fields(Keys)
    assert Keys() == Keys(None, {}, 3) and Keys().options is not Keys().options
    assert (rule_of(size), rule_of(options), rule_of(plain)) == (Rule(1, 8192), Rule(), Rule())
    check_range(size, None), check_range(size, 8192)
    with pytest.raises(ValueError, match="image_size must be at least 1, got 0"):
        check_range(size, 0)
    with pytest.raises(ValueError, match="image_size=100000 needs 120 GB for a single image: lower it"):
        check_range(size, 100_000)


def test_what_is_required_is_named():
    require(True, "shift", 3, "less")
    with pytest.raises(ValueError, match="shift must be less, got 'x'"):
        require(False, "shift", "x", "less")
