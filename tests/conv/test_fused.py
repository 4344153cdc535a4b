"""Neighborhoods are reduced in one step only where that is what messages mean, and as exactly as message by message."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize, prune
from torch_geometric.nn import MaxAggregation as MaxOfPyG
from torch_geometric.nn import MeanAggregation

import vig_pyg
from tests.conv.passed import graph, normal, outcome
from vig_pyg.conv import EdgeConv, GINConv, GroupedLinear, LinearNormAct, MaxRelativeConv, SAGEConv
from vig_pyg.conv.fused import MaxAggregation

OPERATORS = [MaxRelativeConv, EdgeConv, GINConv, SAGEConv]
every_operator = pytest.mark.parametrize("operator", OPERATORS)


def same(conv, x, edges):
    """Check that sorted edges give what a plain list of them gives, in training."""
    conv.zero_grad(set_to_none=True)
    fused = outcome(conv.train(), x, edges)
    conv.zero_grad(set_to_none=True)
    torch.testing.assert_close(fused, outcome(conv, x, edges.as_tensor()), rtol=1e-4, atol=1e-4)
    return fused[0]


# What somebody overrides, watches or replaces ##########################################################


def derived(operator, **methods):
    """Return a subclass under a name of its own, by which PyG keeps what it generates."""
    return type(f"{operator.__name__}{len(methods)}{next(iter(methods)).title()}", (operator,), methods)


@every_operator
def test_a_message_that_a_subclass_overrides_is_sent(operator):
    def of_both(self, x_i, x_j):
        return 2 * operator.message(self, x_i, x_j)

    def of_source(self, x_j):
        return 2 * operator.message(self, x_j)

    message = of_both if operator in (MaxRelativeConv, EdgeConv) else of_source
    message.__name__ = "message"  # PyG looks signatures up by it
    check_that_it_differs(operator, derived(operator, message=message))


@every_operator
def test_an_aggregation_that_a_subclass_overrides_is_used(operator):
    def aggregate(self, inputs, index, ptr=None, dim_size=None):
        return operator.aggregate(self, inputs, index, ptr, dim_size) / 2

    check_that_it_differs(operator, derived(operator, aggregate=aggregate))


@every_operator
def test_an_update_that_a_subclass_overrides_is_used(operator):
    def update(self, inputs):
        return inputs + 1

    check_that_it_differs(operator, derived(operator, update=update))


def check_that_it_differs(operator, changed):
    x, edges = graph()
    torch.manual_seed(0)
    out = same(changed(8, 8, norm=None), x, edges)
    torch.manual_seed(0)
    assert not torch.allclose(out, operator(8, 8, norm=None)(x, edges), atol=0.1)


@every_operator
def test_a_subclass_that_fuses_its_own_message_is_fused(operator):
    class Zero(operator):
        def message(self, x_j):
            raise AssertionError("messages are fused")

        def message_and_aggregate(self, edge_index, x):
            return x[1].new_zeros(len(x[1]), self.out_channels)

    Zero.__name__ += operator.__name__  # PyG keeps what it generates by the name
    x, edges = graph()
    assert Zero(8, 8)(x, edges).shape == (40, 8)


@every_operator
def test_another_aggregation_is_used(operator):
    x, edges = graph()
    conv = operator(8, 8)
    before = conv(x, edges)
    conv.aggr_module = MeanAggregation()
    assert not torch.allclose(same(conv, x, edges), before, atol=1e-2)


@every_operator
def test_message_hooks_see_messages_on_sorted_edges(operator):
    x, edges = graph()
    conv, seen = operator(8, 8), []
    conv.register_message_forward_hook(lambda module, inputs, messages: seen.append(len(messages)))
    conv(x, edges)
    assert seen == [edges.size(1)]


def layers_of(conv):
    return [module for module in conv.modules() if isinstance(module, LinearNormAct)]


@every_operator
def test_hooks_on_every_layer_fire_in_training_as_in_evaluation(operator):
    x, edges = graph()
    conv = operator(8, 8)
    layers = {module for layer in layers_of(conv) for module in layer.modules()}
    seen = set()
    for module in layers:
        module.register_forward_hook(lambda module, *_: seen.add(module))
    for training in (True, False):
        seen.clear()
        conv.train(training)(x, edges)
        assert seen == layers


class LowRank(nn.Module):
    """What LoRA puts in the place of a linear map."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        self.down, self.up = nn.Linear(base.in_channels, 2), nn.Linear(2, base.out_channels)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


class Squared(nn.Module):
    def forward(self, weight):
        return weight.square()


def low_rank(layer):
    layer.linear = LowRank(layer.linear)


def parametrized(layer):
    parametrize.register_parametrization(layer.linear, "weight", Squared())


def pruned(layer):
    prune.l1_unstructured(layer.linear, "weight", amount=0.5)


def changed_by_a_hook(layer):
    layer.linear.register_forward_hook(lambda module, inputs, out: out.square())


@pytest.mark.parametrize("change", [low_rank, parametrized, pruned, changed_by_a_hook])
@pytest.mark.parametrize("heads", [1, 2])
@every_operator
def test_a_changed_linear_map_acts_in_training_and_evaluation(operator, heads, change):
    x, edges = graph()
    torch.manual_seed(0)
    conv = operator(8, 8, heads=heads)
    before = conv(x, edges)
    for layer in layers_of(conv):
        change(layer)
    assert not torch.allclose(same(conv, x, edges), before, atol=1e-2)
    torch.testing.assert_close(conv.eval()(x, edges), conv(x, edges.as_tensor()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("change", [low_rank, parametrized, pruned, changed_by_a_hook])
def test_a_changed_linear_map_of_two_interleaved_matrices(change):
    torch.manual_seed(0)
    layer, x, y = LinearNormAct(8, 6, 2), normal(9, 4), normal(9, 4, seed=1)
    change(layer)
    for training in (True, False):
        layer.train(training)
        torch.testing.assert_close(layer(x, y), layer(torch.stack([x, y], 2).flatten(1)))


class Bump(nn.ReLU):
    def forward(self, x):
        return torch.exp(-x.square())


@every_operator
def test_an_activation_derived_from_a_known_one_is_computed_message_by_message(operator):
    x, edges = graph()
    same(operator(8, 8, act=Bump), x, edges)


@pytest.mark.parametrize("operator", [EdgeConv, SAGEConv])
def test_an_activation_across_messages_is_computed_message_by_message(operator):
    x, edges = graph()
    same(operator(8, 8, act=lambda: nn.Softmax(dim=0)), x, edges)


def test_large_activations_that_hooks_change_keep_their_gradient():
    layer, x = LinearNormAct(8, 1 << 9, act="gelu"), normal(1 << 13, 8)
    layer.norm.register_forward_hook(lambda module, inputs, out: 3 * out)
    layer.act.register_forward_hook(lambda module, inputs, out: out.square())
    last = GroupedLinear(1 << 9, 1)
    last(layer(x)).sum().backward()
    weight = layer.linear.weight.detach().clone().requires_grad_()
    z = nn.functional.batch_norm(nn.functional.linear(x, weight), None, None, training=True)
    (nn.functional.gelu(3 * z).square() @ last.weight.detach().T).sum().backward()
    torch.testing.assert_close(layer.linear.weight.grad, weight.grad, rtol=1e-3, atol=1e-2)


# Values on edges #######################################################################################


WEIGHED = [vig_pyg.MaxRelativeConv, vig_pyg.GINConv, vig_pyg.SAGEConv]


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_csc, torch.sparse_coo])
@pytest.mark.parametrize("operator", WEIGHED)
def test_values_of_a_sparse_adjacency_are_factors_of_messages(operator, layout):
    adjacency, conv = torch.eye(5), operator(8, 8)
    adjacency[0, 1], adjacency[2, 2] = 0.5, 2.5
    target, source = adjacency.nonzero().T
    x, weight = normal(5, 8), adjacency[target, source]
    expected = conv(x, torch.stack([source, target]), weight)
    torch.testing.assert_close(conv(x, adjacency.to_sparse(layout=layout)), expected)
    assert not torch.allclose(conv(x, (adjacency != 0).float().to_sparse(layout=layout)), expected, atol=1e-3)


@pytest.mark.parametrize("operator", WEIGHED)
def test_a_weight_is_a_factor_of_the_message(operator):
    x, edges = graph()
    conv, weight = operator(8, 8, norm=None), torch.rand(edges.size(1))
    message = conv.message(**{name: x[edges[1 if name == "x_i" else 0]] for name in taken(conv)})
    sent = []
    conv.register_message_forward_hook(lambda *args: sent.append(args[2]))
    conv(x, edges, weight)
    torch.testing.assert_close(sent[0], message * weight[:, None])


def taken(conv):
    return [name for name in conv.inspector.get_param_dict("message") if name != "edge_weight"]


def test_values_and_weights_that_an_edge_convolution_has_no_use_for_are_refused():
    conv = vig_pyg.EdgeConv(8, 8)
    with pytest.raises(TypeError, match="messages of EdgeConv take no edge_weight, but edges have it"):
        conv(normal(5, 8), (torch.eye(5) / 2).to_sparse())
    x, edges = graph()
    with pytest.raises(TypeError, match="has edge_dim=None and takes edge_attr accordingly, which is given"):
        conv(x, edges, torch.rand(edges.size(1)))


# Flush to zero #########################################################################################


@pytest.mark.parametrize("largest", [True, False])
def test_tied_zeros_send_their_gradient_to_a_neighbor_also_where_denormals_are_zero(largest):
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormal numbers")
    try:
        x = torch.tensor([[1.0], [0.0], [-0.0], [0.0]], requires_grad=True)
        ptr, index = torch.tensor([0, 3]), torch.tensor([1, 2, 3])
        reduce = vig_pyg.kernels.neighbor_max if largest else vig_pyg.kernels.neighbor_min
        reduce(x, ptr, index, 3).sum().backward()
    finally:
        torch.set_flush_denormal(False)
    assert x.grad[0] == 0 and x.grad.sum() == 1


# Ties, large and infinite features #########################################################################


@every_operator
@pytest.mark.parametrize("form", ["sorted", "list"])
def test_among_equal_neighbors_the_gradient_is_one_of_those_there_are(operator, form):
    """With positive weights and no norm or activation the output is convex, and a gradient supports it everywhere."""
    torch.manual_seed(0)
    conv = operator(4, 6, norm=None, act=None).double()
    for parameter in conv.parameters():
        parameter.data.abs_()
    x = torch.randn(4, 4, dtype=torch.double).repeat_interleave(3, 0).requires_grad_()  # three of each
    edges = vig_pyg.knn_graph(x.detach(), 6, loop=True)
    edges = edges if form == "sorted" else edges.as_tensor()
    out = conv(x, edges).sum()
    (gradient,) = torch.autograd.grad(out, x)
    for seed in range(50):
        step = 0.1 * normal(12, 4, seed=seed).double()
        assert conv(x + step, edges).sum() >= out + (gradient * step).sum() - 1e-9


@every_operator
@pytest.mark.parametrize("act", ["gelu", "relu", "tanh", None])
def test_an_infinite_feature_reaches_its_neighbors_and_nobody_else(operator, act):
    torch.manual_seed(0)
    conv, (x, edges) = operator(8, 12, act=act).eval(), graph()
    out = conv(x, edges)
    wild = x.clone()
    wild[7, 3] = float("inf")
    reached = torch.zeros(40, dtype=torch.bool)
    reached[edges[1][edges[0] == 7]] = reached[7] = True
    changed = conv(wild, edges)
    assert torch.equal(changed[~reached], out[~reached]) and not torch.equal(changed[reached], out[reached])


@pytest.mark.parametrize("operator", [MaxRelativeConv, EdgeConv, SAGEConv])
def test_a_maximum_of_zero_passes_its_whole_gradient_on_a_plain_list_too(operator):
    """PyG's own maximum shares it with the zeros that it scatters into."""
    torch.manual_seed(0)
    conv = operator(4, 6, norm=None, act=None).double()
    x = torch.randn(6, 4, dtype=torch.double)
    if operator is not MaxRelativeConv:  # there the difference to itself is zero
        x[:] = 0
    edges = vig_pyg.knn_graph(torch.randn(6, 4), 1, loop=True)  # itself alone
    along, found = normal(6, 6, seed=3).double(), []
    for adjacency in (edges, edges.as_tensor()):
        leaf = x.clone().requires_grad_()
        conv(leaf, adjacency).backward(along)
        found.append(leaf.grad)
    torch.testing.assert_close(*found)


def test_the_maximum_that_messages_take_is_pyg_s_with_the_whole_gradient():
    x = torch.tensor([[0.0], [-1.0], [2.0], [2.0]], requires_grad=True)
    out = MaxAggregation()(x, torch.tensor([0, 0, 2, 2]), dim_size=4)
    assert torch.equal(out, MaxOfPyG()(x, torch.tensor([0, 0, 2, 2]), dim_size=4))
    out.sum().backward()
    assert x.grad.flatten().tolist() == [1, 0, 0.5, 0.5]
