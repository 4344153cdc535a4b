"""What is EdgeConv's alone; test_operators.py has the definition that it shares with the others."""

import pytest
import torch
from torch_geometric import nn as pyg

from tests.conv.passed import graph
from tests.conv.test_operators import as_list, forms_of, linear_norm_act, normal
from vig_pyg.conv.edge import EdgeConv


@pytest.mark.parametrize("training", [False, True])
def test_it_is_pygs_with_the_same_map(training):
    x, edges = graph()
    conv, same = (EdgeConv(8, 12, act="gelu").double().train(training) for _ in range(2))
    reference = pyg.EdgeConv(same.nn).train(training)
    same.load_state_dict(conv.state_dict())
    torch.testing.assert_close(conv(x.double(), edges), reference(x.double(), edges.as_tensor()))
    torch.testing.assert_close(conv.state_dict(), same.state_dict())


def test_an_edge_convolution_with_an_odd_number_of_heads_equals_its_definition():
    conv = EdgeConv(6, 12, heads=3, norm="batch", act="gelu").double().eval()
    x, edges = normal(5, 6), as_list([(0, 1), (2, 1), (3, 1), (1, 0), (4, 3)])
    expected = []
    for i in range(5):
        pairs = [torch.cat([x[i], x[j] - x[i]]) for j, target in edges.T.tolist() if target == i]
        messages = linear_norm_act(conv.nn, pairs, False)
        expected.append(torch.stack(messages).max(0).values if messages else x.new_zeros(12))
    for form in (edges, forms_of(edges, (5, 5))["sorted"]):
        torch.testing.assert_close(conv(x, form), torch.stack(expected))
