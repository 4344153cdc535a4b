"""The head is pooling, a hidden layer and a classifier."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vig_pyg.blocks import Head, pool_nodes
from vig_pyg.graph.layout import NodeLayout


def formula(head, x):
    norm = head.fc1.norm
    x = x @ head.fc1.linear.weight.T + head.fc1.linear.bias
    mean, var = norm.running_mean, norm.running_var
    if norm.training:
        mean, var = x.mean(0), x.var(0, correction=0)
    x = F.gelu((x - mean) / torch.sqrt(var + norm.eps) * norm.weight + norm.bias)
    return x, x @ head.fc2.weight.T + head.fc2.bias


@pytest.mark.parametrize("training", [False, True])
def test_it_equals_the_formula(training):
    torch.manual_seed(0)
    head = Head(6, 5, hidden=12).double()
    for tensor in head.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.2)
    x = torch.randn(4, 6, dtype=torch.float64)
    hidden, logits = formula(head.train(training), x)
    torch.testing.assert_close(head(x), logits)
    torch.testing.assert_close(head(x, pre_logits=True), hidden)


def test_dropout_stands_between_the_hidden_layer_and_the_classifier():
    head = Head(6, 5, dropout=1.0).train()
    torch.testing.assert_close(head(torch.randn(3, 6)), head.fc2.bias.expand(3, -1))


def test_without_classes_the_hidden_layer_is_returned():
    head = Head(6, 0).eval()
    assert isinstance(head.fc2, nn.Identity)
    assert head(torch.randn(2, 6)).shape == (2, 1024)


def test_a_new_classifier_keeps_type_and_starts_without_bias():
    head = Head(6, 5).double()
    before = head.fc2
    head.reset(7)
    assert head.fc2 is not before
    assert head.fc2.weight.shape == (7, 1024)
    assert head.fc2.weight.dtype == torch.float64
    assert torch.equal(head.fc2.bias, torch.zeros(7, dtype=torch.float64))


@pytest.mark.parametrize("sizes", [[(2, 3), (2, 3)], [(2, 3), (4, 1), (4, 1), (1, 5)]])
def test_nodes_are_averaged_per_image(sizes):
    layout = NodeLayout.from_sizes(sizes)
    x = torch.randn(layout.num_nodes, 4)
    expected = torch.stack([x[layout.batch() == image].mean(0) for image in range(len(sizes))])
    torch.testing.assert_close(pool_nodes(x, layout), expected)
