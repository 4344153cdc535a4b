"""Values come back, numbers too, and packed values are ordered as the values are."""

import torch

from vig_pyg.kernels.packing import NUMBER_BITS, numbers_of, pack


def test_values_and_numbers_come_back():
    values = torch.tensor([1.5, -2.25, 3e38, -1e-38, 0.0, -0.0])
    numbers = torch.tensor([0, 1, NUMBER_BITS, 12345, 7, 8])
    packed = pack(values, numbers)
    assert torch.equal(packed.float(), values) and torch.equal(numbers_of(packed), numbers)


def test_the_largest_packed_value_says_which_it_was():
    values = torch.randn(1000, 8, generator=torch.Generator().manual_seed(0))
    packed = pack(values, torch.arange(1000).unsqueeze(1))
    assert torch.equal(numbers_of(packed.amax(0)), values.argmax(0))
