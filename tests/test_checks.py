"""Every check lets pass what it is for and names what it refuses."""

import numpy as np
import pytest
import torch

from vig_pyg import checks


@pytest.mark.parametrize(
    ("check", "right", "wrong", "sentence"),
    [
        (checks.check_whole, [1, np.int64(7)], 0, "value must be at least 1, got 0"),
        (checks.check_whole, [1], True, "value must be a whole number, got True"),
        (checks.check_whole, [1], 2.0, r"value must be a whole number, got 2\.0"),
        (checks.check_whole_lists, [[], [1, 2], (3,)], [1, 0], "every number of value must be at least 1, got 0"),
        (checks.check_whole_lists, [[1]], "12", "value must be a list of whole numbers, got '12'"),
        (checks.check_flags, [True, False], 1, "value must be True or False, got 1"),
        (checks.check_shares, [0, 1, 0.5], 1.1, r"value is a probability between 0 and 1, got 1\.1"),
        (checks.check_shares, [0], float("nan"), "value is a probability between 0 and 1, got nan"),
        (checks.check_shares, [0], "half", "value must be a number, got 'half'"),
        (checks.check_positive, [1, 0.5, 1e9], 0.0, r"value must be a finite number above 0, got 0\.0"),
        (checks.check_positive, [1], float("inf"), "value must be a finite number above 0, got inf"),
        (checks.check_positive, [1], True, "value must be a number, got True"),
        (checks.check_size, [4, (3, 5), [1, 1]], (1, 2, 3), r"one number or a pair \(height, width\), got \(1, 2, 3\)"),
        (checks.check_size, [4], (3, 0), "every number of value must be at least 1, got 0"),
    ],
)
def test_a_check_passes_what_is_right_and_names_what_is_not(check, right, wrong, sentence):
    for value in right:
        check(value=value)
    with pytest.raises((TypeError, ValueError), match=sentence):
        check(value=wrong)


def test_the_least_number_can_be_another():
    checks.check_whole(0, pixels=0)
    with pytest.raises(ValueError, match="pixels must be at least 0, got -1"):
        checks.check_whole(0, pixels=-1)


def test_of_what_is_long_only_the_type_is_shown():
    with pytest.raises(TypeError, match=r"^x must be text, got list$"):
        checks.check_kind("text", str, x=list(range(100)))


def test_a_device_is_known_by_its_name():
    assert checks.known_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(ValueError, match="device must be cpu, cuda, cuda:0 or the like, got 'abacus'"):
        checks.known_device("abacus")
    with pytest.raises(TypeError, match="device must be the name of a device, got 3"):
        checks.known_device(3)
