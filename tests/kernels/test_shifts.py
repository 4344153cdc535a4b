"""Distances along rows and columns, from the words that describe them."""

import pytest
import torch

from vig_pyg.kernels import shifted_distances

ROWS, COLUMNS = [1, 3, 2], [2, 4, 3]  # 2 and 4 less than 6 columns: the same pairs from both ends


def defined(maps, rows, columns):
    """Return the distance of every node from the one so many rows above, then so many columns to the left."""
    count, height, width, _ = maps.shape
    out = maps.new_zeros(count, height, width, len(rows) + len(columns))
    for image in range(count):
        for row in range(height):
            for column in range(width):
                node = maps[image, row, column]
                others = [maps[image, (row - by) % height, column] for by in rows]
                others += [maps[image, row, (column - by) % width] for by in columns]
                for slot, other in enumerate(others):
                    out[image, row, column, slot] = (node - other).abs().sum()
    return out


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distances_are_those_of_the_definition(dtype):
    torch.manual_seed(0)
    maps = torch.randn(2, 5, 6, 3, dtype=dtype)
    torch.testing.assert_close(shifted_distances(maps, ROWS, COLUMNS), defined(maps, ROWS, COLUMNS))
    assert shifted_distances(maps, [], []).shape == (2, 5, 6, 0)


def test_gradients_are_those_of_the_definition():
    torch.manual_seed(1)
    maps = torch.randn(2, 4, 6, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    (ours,) = torch.autograd.grad((shifted_distances(maps, ROWS, COLUMNS) * weight).sum(), maps)
    (theirs,) = torch.autograd.grad((defined(maps, ROWS, COLUMNS) * weight).sum(), maps)
    torch.testing.assert_close(ours, theirs)


def test_compiled_code_gives_the_same():
    torch.manual_seed(2)
    maps = torch.randn(2, 5, 6, 3)
    compiled = torch.compile(lambda x: shifted_distances(x, ROWS, COLUMNS), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(maps), shifted_distances(maps, ROWS, COLUMNS))
    nowhere = torch.compile(lambda x: shifted_distances(x, [], []), backend="eager", fullgraph=True)
    assert nowhere(maps).shape == shifted_distances(maps, [], []).shape == (2, 5, 6, 0)
