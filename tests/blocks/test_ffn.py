"""The feed-forward network is Eq. 7 of the paper."""

import pytest
import torch
import torch.nn.functional as F

from vig_pyg.blocks import FFN, DropPath
from vig_pyg.graph.layout import NodeLayout

LAYOUT = NodeLayout.uniform(2, 3, 3)


def linear_batch_norm(layer, x):
    x = x @ layer.linear.weight.T + layer.linear.bias
    if layer.norm.training:
        mean, var = x.mean(0), x.var(0, correction=0)
    else:
        mean, var = layer.norm.running_mean, layer.norm.running_var
    return (x - mean) / torch.sqrt(var + layer.norm.eps) * layer.norm.weight + layer.norm.bias


def randomized(module):
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.2)
    return module


@pytest.mark.parametrize("training", [False, True])
def test_it_equals_the_formula(training):
    torch.manual_seed(0)
    ffn = randomized(FFN(8, ratio=3).double()).train(training)
    y = torch.randn(LAYOUT.num_nodes, 8, dtype=torch.float64)
    expected = linear_batch_norm(ffn.fc2, F.gelu(linear_batch_norm(ffn.fc1, y))) + y
    torch.testing.assert_close(ffn(y, LAYOUT), expected)


def test_the_hidden_layer_is_four_times_as_wide():
    assert FFN(8).fc1.linear.weight.shape == (32, 8)
    assert FFN(8).fc2.linear.weight.shape == (8, 32)


def test_the_activation_and_the_norm_can_be_chosen():
    ffn = FFN(8, norm="layer", act="relu").double()
    y = torch.randn(LAYOUT.num_nodes, 8, dtype=torch.float64)
    hidden = F.relu(F.layer_norm(F.linear(y, ffn.fc1.linear.weight, ffn.fc1.linear.bias), [32]))
    expected = F.layer_norm(F.linear(hidden, ffn.fc2.linear.weight, ffn.fc2.linear.bias), [8]) + y
    torch.testing.assert_close(ffn(y, LAYOUT), expected)


def test_a_dropped_branch_leaves_the_input():
    y = torch.randn(LAYOUT.num_nodes, 8)
    assert torch.equal(FFN(8, drop_path=1.0).train()(y, LAYOUT), y)
    assert torch.equal(FFN(8, dropout=1.0).train()(y, LAYOUT), y)
    assert isinstance(FFN(8).drop_path, DropPath)


def test_every_node_is_transformed_by_itself():
    ffn = FFN(8).eval()
    y = torch.randn(LAYOUT.num_nodes, 8)
    order = torch.randperm(len(y))
    torch.testing.assert_close(ffn(y, LAYOUT)[order], ffn(y[order], LAYOUT))
