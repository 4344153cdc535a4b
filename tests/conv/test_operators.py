import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.func import functional_call
from torch_geometric import EdgeIndex
from torch_geometric.explain.algorithm.utils import set_masks
from torch_geometric.nn import MessagePassing

from vig_pyg.conv import EdgeConv, GINConv, HypergraphConv, MaxRelativeConv, SAGEConv

OPERATORS = [MaxRelativeConv, EdgeConv, GINConv, SAGEConv, HypergraphConv]
IN, OUT = 8, 12
EMPTY = torch.empty(2, 0, dtype=torch.long)

every_operator = pytest.mark.parametrize("operator", OPERATORS)
drawn = settings(max_examples=25, deadline=None, derandomize=True)


@st.composite
def graphs(draw, min_edges=0):
    """Sources, targets and edges in any order, with isolated nodes and duplicates."""
    num_targets = draw(st.integers(2, 7))
    bipartite = draw(st.booleans())
    num_sources = draw(st.integers(1, 6)) if bipartite else num_targets
    edge = st.tuples(st.integers(0, num_sources - 1), st.integers(0, num_targets - 1))
    edges = draw(st.lists(edge, min_size=min_edges, max_size=14))
    x_target = normal(num_targets, IN, seed=draw(st.integers(0, 99)))
    x_source = normal(num_sources, IN, seed=draw(st.integers(100, 199))) if bipartite else x_target
    return x_source, x_target, as_list(edges)


def as_list(edges):
    return torch.tensor(edges, dtype=torch.long).view(-1, 2).T.contiguous()


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


def build(operator, heads=1, training=False, **options):
    """An operator whose weights, norms and running statistics are all drawn at random."""
    conv = operator(IN, OUT, heads=heads, **{"norm": "batch", "act": "gelu", **options}).double().train(training)
    for seed, value in enumerate([*conv.parameters(), *conv.buffers()]):
        if value.is_floating_point():
            value.data.copy_(normal(*value.shape, seed=seed))
    for name, value in conv.named_buffers():
        if name.endswith("running_var"):
            value.abs_().add_(0.5)
    return conv


def call(conv, x_source, x_target, edges):
    return conv(x_target if x_source is x_target else (x_source, x_target), edges)


# The definitions, written out ##########################################################################


def linear(layer, row):
    width = layer.in_channels // layer.heads
    out = []
    for channel in range(layer.out_channels):
        head = channel // (layer.out_channels // layer.heads)
        out.append(layer.weight[channel] @ row[head * width : (head + 1) * width] + layer.bias[channel])
    return torch.stack(out)


def linear_norm_act(layer, rows, training):
    if not rows:
        return []
    mapped = torch.stack([linear(layer.linear, row) for row in rows])
    norm = layer.norm
    mean, var = norm.running_mean, norm.running_var
    if training:
        mean = sum(mapped) / len(mapped)
        var = sum((row - mean) ** 2 for row in mapped) / len(mapped)
    normed = [(row - mean) / torch.sqrt(var + norm.eps) * norm.weight + norm.bias for row in mapped]
    return [0.5 * row * (1 + torch.erf(row / math.sqrt(2))) for row in normed]


def largest(messages, targets, num_targets, channels):
    out = []
    for i in range(num_targets):
        own = [m for m, target in zip(messages, targets, strict=True) if target == i]
        out.append(torch.stack(own).max(0).values if own else torch.zeros(channels, dtype=torch.double))
    return out


def max_relative_by_definition(conv, x_source, x_target, edges, training):
    differences = [x_source[j] - x_target[i] for j, i in edges]
    relative = largest(differences, [i for _, i in edges], len(x_target), IN)
    rows = []
    for x, m in zip(x_target, relative, strict=True):
        rows.append(torch.stack([value for channel in range(IN) for value in (x[channel], m[channel])]))
    return linear_norm_act(conv.nn, rows, training)


def edge_by_definition(conv, x_source, x_target, edges, training):
    pairs = [torch.cat([x_target[i], x_source[j] - x_target[i]]) for j, i in edges]
    messages = linear_norm_act(conv.nn, pairs, training)
    return largest(messages, [i for _, i in edges], len(x_target), OUT)


def gin_by_definition(conv, x_source, x_target, edges, training):
    rows = []
    for i, x in enumerate(x_target):
        row = (1 + conv.eps) * x
        for j, target in edges:
            if target == i:
                row = row + x_source[j]
        rows.append(row)
    return linear_norm_act(conv.nn, rows, training)


def sage_by_definition(conv, x_source, x_target, edges, training):
    messages = linear_norm_act(conv.nn1, [x_source[j] for j, _ in edges], training)
    pooled = largest(messages, [i for _, i in edges], len(x_target), IN)
    rows = [torch.cat([x, m]) for x, m in zip(x_target, pooled, strict=True)]
    return linear_norm_act(conv.nn2, rows, training)


def hypergraph_by_definition(conv, x_source, x_target, edges, training):
    mapped = linear_norm_act(conv.nn1, list(x_source), training)
    rows = []
    for i, x in enumerate(x_target):
        own = [mapped[j] for j, target in edges if target == i]
        rows.append((1 + conv.eps) * x + (sum(own) / len(own) if own else 0))
    return linear_norm_act(conv.nn2, rows, training)


DEFINITIONS = {
    MaxRelativeConv: max_relative_by_definition,
    EdgeConv: edge_by_definition,
    GINConv: gin_by_definition,
    SAGEConv: sage_by_definition,
    HypergraphConv: hypergraph_by_definition,
}


@pytest.mark.parametrize("heads", [1, 2, 4])
@every_operator
@drawn
@given(graph=graphs())
def test_an_operator_equals_its_definition_edge_by_edge(operator, heads, graph):
    conv = build(operator, heads)
    x_source, x_target, edges = graph
    expected = torch.stack(DEFINITIONS[operator](conv, x_source, x_target, edges.T.tolist(), False))
    torch.testing.assert_close(call(conv, x_source, x_target, edges), expected)


@every_operator
@drawn
@given(graph=graphs(min_edges=2))
def test_in_training_the_statistics_are_those_of_the_rows_that_are_normalized(operator, graph):
    conv = build(operator, 2, training=True)
    x_source, x_target, edges = graph
    assume(operator is not HypergraphConv or len(x_source) > 1)  # one hyperedge has no variance
    expected = torch.stack(DEFINITIONS[operator](conv, x_source, x_target, edges.T.tolist(), True))
    torch.testing.assert_close(call(conv, x_source, x_target, edges), expected)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("heads", [1, 2, 4])
@every_operator
def test_a_graph_without_edges_keeps_the_running_statistics_and_the_output_finite(operator, heads, training):
    conv = build(operator, heads, training)
    x = normal(5, IN)
    out = conv(x, EMPTY)
    assert out.shape == (5, OUT)
    assert out.isfinite().all()
    torch.testing.assert_close(build(operator, heads, training)(x, forms_of(EMPTY, (5, 5))["sorted"]), out)
    assert all(buffer.isfinite().all() for buffer in conv.buffers())


# Forms of the adjacency ################################################################################


def forms_of(edges, sizes):
    by_target = edges[:, edges[1].argsort(stable=True)]
    by_source = edges[:, edges[0].argsort(stable=True)]
    num_sources, num_targets = sizes
    ptr = torch.cat([torch.zeros(1, dtype=torch.long), edges[1].bincount(minlength=num_targets).cumsum(0)])
    ones, shape = torch.ones(edges.size(1), dtype=torch.double), (num_targets, num_sources)
    adj_t = torch.sparse_csr_tensor(ptr, by_target[0], ones, shape, check_invariants=False)
    return {
        "sorted": EdgeIndex(by_target, sparse_size=sizes, sort_order="col"),
        "sorted, without a size": EdgeIndex(by_target, sort_order="col"),
        "sorted, too large a size": EdgeIndex(by_target, sparse_size=(20, 20), sort_order="col"),
        "sorted by source": EdgeIndex(by_source, sparse_size=sizes, sort_order="row"),
        "unsorted": EdgeIndex(edges, sparse_size=sizes),
        "unsorted, without a size": EdgeIndex(edges),
        "CSR": adj_t,
        "CSC": adj_t.to_sparse_csc(),
        "COO": torch.sparse_coo_tensor(edges.flip(0), ones, shape),
    }


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@pytest.mark.parametrize("training", [False, True])
@every_operator
@drawn
@given(graph=graphs(min_edges=2))
def test_every_form_of_the_adjacency_gives_equal_results_and_gradients(operator, training, graph):
    conv = build(operator, 2, training)
    x_source, x_target, edges = graph
    assume(operator is not HypergraphConv or len(x_source) > 1)
    cotangent = normal(len(x_target), OUT, seed=5)

    def result_and_gradient(form):
        x = x_target.clone().requires_grad_()
        source = x if x_source is x_target else x_source
        out = call(conv, source, x, form)
        return out, torch.autograd.grad(out, x, cotangent)[0]

    expected = result_and_gradient(edges)
    for name, form in forms_of(edges, (len(x_source), len(x_target))).items():
        torch.testing.assert_close(result_and_gradient(form), expected, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("act", ["relu", "silu", "hard_swish", "tanh", torch.nn.ELU, lambda: torch.sin])
@pytest.mark.parametrize("norm", ["batch", "layer", torch.nn.RMSNorm, None])
@pytest.mark.parametrize("heads", [1, 2, 4])
@every_operator
def test_sorted_edges_give_what_a_list_gives_with_any_norm_and_activation(operator, heads, norm, act, training):
    by_list, by_target = (build(operator, heads, training, norm=norm, act=act) for _ in range(2))
    x = (normal(6, IN), normal(5, IN, seed=1))
    edges = as_list([(0, 1), (2, 1), (5, 1), (1, 0), (1, 0), (4, 3), (2, 3), (0, 2)])
    sorted_edges = forms_of(edges, (6, 5))["sorted"]
    torch.testing.assert_close(by_target(x, sorted_edges), by_list(x, edges))
    torch.testing.assert_close(by_target.state_dict(), by_list.state_dict())


@every_operator
def test_a_coalesced_sparse_tensor_gives_what_its_edges_give(operator):
    conv, x = build(operator), normal(4, IN)
    edges = as_list([(3, 0), (1, 0), (2, 3)])
    adj_t = torch.sparse_coo_tensor(edges.flip(0), torch.ones(3, dtype=torch.double), (4, 4)).coalesce()
    torch.testing.assert_close(conv(x, adj_t), conv(x, edges))


@every_operator
@drawn
@given(graph=graphs(min_edges=1), seed=st.integers(0, 99))
def test_the_order_of_the_edges_does_not_matter(operator, graph, seed):
    conv = build(operator, 4)
    x_source, x_target, edges = graph
    order = torch.randperm(edges.size(1), generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(call(conv, x_source, x_target, edges[:, order]), call(conv, x_source, x_target, edges))


@every_operator
@drawn
@given(graph=graphs(), seed=st.integers(0, 99))
def test_permuting_the_nodes_permutes_the_output(operator, graph, seed):
    conv = build(operator, 2)
    _, x, edges = graph
    edges = edges % len(x)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    place = order.argsort()
    torch.testing.assert_close(conv(x[order], place[edges]), conv(x, edges)[order])


# Gradients #############################################################################################


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("form", ["list", "sorted"])
@every_operator
def test_gradcheck_holds_for_features_and_weights(operator, form, training):
    conv = build(operator, 2, training)
    edges = as_list([(0, 1), (2, 1), (3, 1), (1, 0), (1, 0), (4, 3), (2, 3), (0, 2)])
    if form == "sorted":
        edges = forms_of(edges, (5, 5))["sorted"]
    names, weights = zip(*conv.named_parameters(), strict=True)
    buffers = dict(conv.named_buffers())

    def function(x, *weights):
        copies = {name: buffer.clone() for name, buffer in buffers.items()}
        return functional_call(conv, {**dict(zip(names, weights, strict=True)), **copies}, (x, edges))

    arguments = [value.detach().clone().requires_grad_() for value in (normal(5, IN, seed=7), *weights)]
    assert torch.autograd.gradcheck(function, arguments, fast_mode=True)


# Message passing as PyG knows it #######################################################################


@every_operator
def test_an_operator_is_message_passing(operator):
    assert issubclass(operator, MessagePassing)


@every_operator
def test_explain_mode_falls_back_to_messages_with_equal_results(operator):
    conv, x = build(operator, 2), normal(5, IN)
    edges = as_list([(0, 1), (2, 1), (3, 1), (1, 0), (4, 3)])
    sorted_edges = forms_of(edges, (5, 5))["sorted"]
    expected = conv(x, sorted_edges)
    set_masks(conv, torch.ones(5, dtype=torch.double), sorted_edges.as_tensor(), apply_sigmoid=False)
    assert conv.explain
    torch.testing.assert_close(conv(x, sorted_edges), expected)


@every_operator
def test_message_hooks_see_one_message_an_edge(operator):
    conv, x = build(operator), normal(5, IN)
    edges = as_list([(0, 1), (2, 1), (3, 1), (1, 0), (4, 3)])
    seen = []
    conv.register_message_forward_hook(lambda module, inputs, messages: seen.append(messages))
    out = conv(x, edges)
    assert [len(messages) for messages in seen] == [5]
    torch.testing.assert_close(out, build(operator)(x, edges))


@every_operator
def test_reset_parameters_draws_new_weights_and_forgets_statistics(operator):
    conv = build(operator)
    before = {name: value.clone() for name, value in conv.state_dict().items()}
    conv.reset_parameters()
    for name, value in conv.state_dict().items():
        assert name.endswith("num_batches_tracked") or not torch.equal(value, before[name]), name
    assert all(torch.equal(b, torch.zeros_like(b)) for n, b in conv.named_buffers() if "running_mean" in n)


@every_operator
def test_by_itself_an_operator_ends_in_its_map_as_those_of_pyg(operator):
    torch.manual_seed(0)
    conv, plain = operator(IN, OUT), operator(IN, OUT, norm=None, act=None)
    plain.load_state_dict(conv.state_dict())
    x, edges = torch.randn(6, IN), as_list([(0, 1), (2, 1), (3, 1), (1, 0), (4, 3)])
    assert torch.equal(conv(x, edges), plain(x, edges))
    last = getattr(conv, "nn2", None) or conv.nn
    assert all(isinstance(module, torch.nn.Identity) for module in (last.norm, last.act))
