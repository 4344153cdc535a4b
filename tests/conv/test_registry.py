import sys
import types

import pytest
import timm
import torch
import torch_geometric
from torch import nn
from torch_geometric.nn import MessagePassing

import vig_pyg
from vig_pyg.conv import (
    EdgeConv,
    GINConv,
    MaxRelativeConv,
    SAGEConv,
    build_conv,
    get_conv,
    list_convs,
    register_conv,
)
from vig_pyg.conv.registry import CONVS

EDGES = torch.tensor([[0, 1, 2, 3, 0, 2], [0, 1, 2, 3, 1, 0]])


@pytest.fixture(autouse=True)
def registry_is_left_as_it_was(monkeypatch):
    monkeypatch.setattr(CONVS, "factories", dict(CONVS.factories))
    monkeypatch.setattr(CONVS, "aliases", dict(CONVS.aliases))


def make_factory(name, module="notebook"):
    def factory(in_channels, out_channels):
        return nn.Linear(in_channels, out_channels)

    factory.__qualname__, factory.__module__ = name, module
    return factory


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("max_relative", MaxRelativeConv),
        ("mr", MaxRelativeConv),
        ("edge", EdgeConv),
        ("gin", GINConv),
        ("sage", SAGEConv),
        ("gat", torch_geometric.nn.GATConv),
    ],
)
def test_a_name_builds_its_operator(name, operator):
    conv = build_conv(name, 8, 12, heads=2, norm="layer", act="relu")
    assert isinstance(conv, operator)
    assert conv(torch.randn(4, 8), EDGES).shape == (4, 12)


def test_options_reach_the_operators_that_name_them():
    conv = build_conv("edge", 8, 12, heads=4, norm="layer", act="relu")
    assert conv.nn.linear.heads == 4
    assert isinstance(conv.nn.norm, nn.LayerNorm)
    assert isinstance(conv.nn.act, nn.ReLU)
    assert build_conv("gat", 8, 12, heads=4, norm="layer").heads == 4


def test_the_list_holds_names_in_order_and_no_aliases():
    names = list_convs()
    assert names == sorted(names)
    assert {"max_relative", "edge", "gin", "sage", "gcn", "gat", "gatv2", "transformer", "pna"} <= set(names)
    assert "mr" not in names


def test_a_registered_factory_is_found_by_name_and_alias():
    factory = register_conv("mine", "my")(make_factory("mine"))
    assert get_conv("mine") is get_conv("my") is factory
    assert "mine" in list_convs()


def test_a_factory_is_used_as_it_is():
    factory = make_factory("unregistered")
    assert get_conv(factory) is factory
    assert build_conv(factory, 3, 5, heads=4).weight.shape == (5, 3)


@pytest.mark.parametrize(
    ("wrong", "right"), [("edg", "edge"), ("max_relativ", "max_relative"), ("transfomer", "transformer")]
)
def test_an_unknown_name_is_refused_with_the_nearest_and_the_known_ones(wrong, right):
    with pytest.raises(ValueError, match=rf"'{wrong}' \(did you mean '{right}'\?\); known are .*sage"):
        build_conv(wrong, 8, 8)


def test_an_unknown_name_that_is_near_to_none_is_refused_without_a_guess():
    with pytest.raises(ValueError, match=r"^no operator is called 'zzzzzz'; known are attention, edge, "):
        get_conv("zzzzzz")


def test_a_module_and_name_import_an_operator():
    conv = build_conv("torch_geometric.nn:SAGEConv", 8, 12, heads=4, norm="batch", act="gelu")
    assert isinstance(conv, torch_geometric.nn.SAGEConv)
    assert conv(torch.randn(4, 8), EDGES).shape == (4, 12)


def test_an_operator_of_a_file_of_ones_own_is_imported(monkeypatch):
    module = types.ModuleType("my_operators")
    module.Mine = make_factory("Mine")
    monkeypatch.setitem(sys.modules, "my_operators", module)
    assert get_conv("my_operators:Mine") is module.Mine


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_module:Conv", "no module 'no_such_module'"),
        ("torch_geometric.no_such:Conv", "no module 'torch_geometric.no_such'"),
        ("torch_geometric.nn:NoSuchConv", "'torch_geometric.nn' has no 'NoSuchConv'"),
        ("torch_geometric.nn:", "'torch_geometric.nn:' must name a module and what is in it"),
        (":SAGEConv", "':SAGEConv' must name a module and what is in it"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path, message):
    with pytest.raises(ValueError, match=message):
        get_conv(path)


def test_a_notebook_cell_may_run_twice():
    first, second = make_factory("Mine", "__main__"), make_factory("Mine", "__main__")
    register_conv("mine", "my")(first)
    register_conv("mine", "my")(second)
    assert get_conv("mine") is get_conv("my") is second


@pytest.mark.parametrize("names", [("edge",), ("mr",), ("new", "edge"), ("new", "mr")])
def test_a_name_that_is_taken_is_refused_and_nothing_changes(names):
    with pytest.raises(ValueError, match=f"the name '{names[-1]}' is taken by .*choose another"):
        register_conv(*names)(make_factory("Mine"))
    assert get_conv("edge") is EdgeConv
    assert get_conv("mr") is MaxRelativeConv
    assert "new" not in list_convs()


@pytest.mark.parametrize(("model", "kind"), [("vig_micro", vig_pyg.ViG), ("pvig_micro", vig_pyg.PyramidViG)])
def test_an_operator_of_ones_own_works_at_once_in_both_models(model, kind):
    @register_conv("weighted_mean")
    class WeightedMean(MessagePassing):
        def __init__(self, in_channels, out_channels):
            super().__init__(aggr="mean")
            self.linear = nn.Linear(in_channels, out_channels)
            self.calls = 0

        def forward(self, x, edge_index):
            self.calls += 1
            return self.linear(self.propagate(edge_index, x=x))

    network = timm.create_model(model, conv="weighted_mean", num_classes=3)
    assert isinstance(network, kind)
    logits = network(torch.randn(2, 3, 32, 32))
    logits.square().sum().backward()
    operators = [module for module in network.modules() if isinstance(module, WeightedMean)]
    assert logits.shape == (2, 3)
    assert len(operators) == 4
    assert all(operator.calls == 1 and operator.linear.weight.grad.any() for operator in operators)


def test_a_misspelt_option_is_refused():
    with pytest.raises(TypeError, match="has no option 'head'"):
        vig_pyg.build_conv("mr", 8, 8, head=4)


def test_register_conv_without_a_name_is_refused():
    with pytest.raises(ValueError, match="must be a word"):
        vig_pyg.register_conv(torch.nn.Linear)


def test_an_operator_that_is_built_already_is_refused():
    with pytest.raises(TypeError, match="built already"):
        vig_pyg.build_conv(vig_pyg.MaxRelativeConv(8, 8), 8, 8)
