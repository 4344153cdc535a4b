"""What torch_scatter makes of neighbor lists is what its words mean; test_reduce.py has the reductions themselves."""

import torch

from vig_pyg.kernels.segments import extremum, softmax, sum_of_own_list

LISTS = [[0, 3, 2], [], [1, 1], [4]]
PTR = torch.tensor([0, *map(len, LISTS)]).cumsum(0)
INDEX = torch.tensor([j for row in LISTS for j in row])
VALUES = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def by_list(function):
    parts = VALUES.split([len(row) for row in LISTS if row])
    return torch.cat([function(part) for part in parts])


def test_the_softmax_of_every_list():
    torch.testing.assert_close(softmax(VALUES.clone(), PTR), by_list(lambda part: part.softmax(0)))


def test_every_edge_gets_the_sum_of_its_list():
    torch.testing.assert_close(sum_of_own_list(VALUES, PTR), by_list(lambda part: part.sum(0).expand_as(part)))


def test_the_extremum_says_where_it_comes_from():
    x = torch.tensor([[3.0], [1.0], [2.0], [5.0], [4.0]])
    out, row = extremum(x, PTR, INDEX, True, True)
    assert out.flatten().tolist() == [5, 0, 1, 4] and row[[0, 2, 3]].flatten().tolist() == [3, 1, 4]
