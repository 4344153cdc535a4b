"""The operator beside its formula on a regular graph; test_operators.py has its definition, edge by edge."""

import pytest
import torch

from tests.conv.passed import graph
from vig_pyg.conv.max_relative import MaxRelativeConv


def test_it_maps_every_node_interleaved_with_its_largest_difference():
    x, edges = graph(k=5)
    conv = MaxRelativeConv(8, 12, heads=4, act="gelu").eval()
    neighbors = edges.as_tensor()[0].view(40, 5)
    largest = (x[neighbors] - x[:, None]).amax(1)
    expected = conv.nn(torch.stack([x, largest], dim=2).flatten(1))
    torch.testing.assert_close(conv(x, edges), expected)


def test_a_node_without_neighbors_has_no_difference():
    x, _ = graph()
    conv = MaxRelativeConv(8, 12, act="gelu").eval()
    alone = conv(x, torch.empty(2, 0, dtype=torch.long))
    torch.testing.assert_close(alone, conv.nn(torch.stack([x, torch.zeros_like(x)], dim=2).flatten(1)))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("floor", "reverse"), [(True, False), (False, True), (True, True)])
def test_floor_and_reverse_are_what_they_say_in_one_step_and_message_by_message(floor, reverse, weighted):
    x, edges = graph(k=5)
    x = x.double()
    conv = MaxRelativeConv(8, 6, floor=floor, reverse=reverse).double()
    weight = torch.rand(edges.size(1), dtype=torch.float64) if weighted else None
    neighbors = edges.as_tensor()[0].view(40, 5)
    differences = (x[neighbors] - x[:, None]) * (-1 if reverse else 1)
    largest = (differences if weight is None else differences * weight.view(40, 5, 1)).amax(1)
    largest = largest.clamp(min=0) if floor else largest
    expected = conv.nn(torch.stack([x, largest], dim=2).flatten(1))
    torch.testing.assert_close(conv(x, edges, weight), expected)
    order = torch.randperm(edges.size(1))
    shuffled = None if weight is None else weight[order]
    torch.testing.assert_close(conv(x, edges.as_tensor()[:, order], shuffled), expected)


@pytest.mark.parametrize("reverse", [False, True])
def test_weights_reach_all_gradients_in_one_step_as_message_by_message(reverse):
    x, edges = graph(k=4)
    weight = torch.rand(edges.size(1), dtype=torch.float64)
    gradients = []
    for links in (edges, edges.as_tensor()):
        conv = MaxRelativeConv(8, 6, reverse=reverse).double()
        conv.load_state_dict({name: torch.ones_like(value) for name, value in conv.state_dict().items()})
        inputs = [x.double().requires_grad_(), weight.clone().requires_grad_()]
        gradients.append(torch.autograd.grad(conv(inputs[0], links, inputs[1]).square().sum(), inputs))
    for fused, one_by_one in zip(*gradients, strict=True):
        torch.testing.assert_close(fused, one_by_one)


def test_an_option_that_is_no_flag_is_refused():
    with pytest.raises(TypeError, match="floor must be True or False, got 'yes'"):
        MaxRelativeConv(8, 8, floor="yes")
