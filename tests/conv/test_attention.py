"""Attention as an operator, beside its definition node by node and torch's own attention."""

import pytest
import torch
import torch.nn.functional as F

from tests.conv.passed import normal, outcome
from vig_pyg.conv.attention import AttentionConv
from vig_pyg.graph import CompleteGraph, NodeLayout
from vig_pyg.graph.edges import edge_list


def defined(conv, sources, targets, edges):
    """Return the operator's output, target by target."""
    query, key = conv.query_norm(conv.query(targets)), conv.key_norm(conv.key(sources))
    value, relative = conv.value(sources), torch.zeros_like(targets)
    for node in range(len(targets)):
        of_node = edges[0][edges[1] == node]
        if len(of_node):
            share = torch.softmax(key[of_node] @ query[node] / query.size(1) ** 0.5, dim=0)
            attended = share @ value[of_node]
        else:
            attended = torch.zeros_like(targets[node])
        relative[node] = (attended - targets[node]).clamp(min=0)
    return conv.nn(torch.stack([targets, relative], dim=2).flatten(1))


@pytest.mark.parametrize("number", [60, 0])
def test_on_any_edges_it_is_its_definition(number):
    torch.manual_seed(0)
    conv = AttentionConv((6, 8), 5, act="gelu").double()
    sources, targets = normal(9, 6).double(), normal(12, 8, seed=1).double()
    edges = torch.stack([torch.randint(9, (number,)), torch.randint(11, (number,))])  # the last target has none
    torch.testing.assert_close(conv((sources, targets), edges), defined(conv, sources, targets, edges))


def test_on_complete_graphs_it_is_dense_attention_with_equal_gradients():
    torch.manual_seed(1)
    conv, layout = AttentionConv(8, 6, act="gelu").double(), NodeLayout.uniform(3, 2, 4)
    x = normal(24, 8).double()
    edges = CompleteGraph()(x, layout)
    images = x.view(3, 8, 8)
    query, key = conv.query_norm(conv.query(x)), conv.key_norm(conv.key(x))
    attended = F.scaled_dot_product_attention(query.view(3, 8, 2), key.view(3, 8, 2), conv.value(x).view_as(images))
    relative = (attended.flatten(0, 1) - x).relu()
    torch.testing.assert_close(conv(x, edges), conv.nn(torch.stack([x, relative], dim=2).flatten(1)))
    listed = outcome(conv, x, edge_list(edges).clone())
    conv.zero_grad()
    for dense, one_by_one in zip(outcome(conv, x, edges), listed, strict=True):
        torch.testing.assert_close(dense, one_by_one)


def test_messages_one_by_one_are_the_same():
    torch.manual_seed(2)
    conv = AttentionConv(8, 6).double()
    x, edges = normal(10, 8).double(), torch.randint(10, (2, 40))
    fused = conv(x, edges)
    conv.register_message_forward_hook(lambda *_: None)  # who watches messages gets them
    torch.testing.assert_close(conv(x, edges), fused)


def test_a_complete_graph_of_several_sizes_or_changed_in_place_is_taken_as_it_is():
    torch.manual_seed(3)
    conv, layout = AttentionConv(8, 6).double(), NodeLayout.from_sizes([(2, 4), (3, 3)])
    x = normal(17, 8).double()
    edges = CompleteGraph()(x, layout)
    torch.testing.assert_close(conv(x, edges), defined(conv, x, x, edge_list(edges)))
    edges = CompleteGraph()(x[:16], NodeLayout.uniform(2, 2, 4))
    edges[0, 0] = 9
    torch.testing.assert_close(conv(x[:16], edges), defined(conv, x[:16], x[:16], edge_list(edges)))
