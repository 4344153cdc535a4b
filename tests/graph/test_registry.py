"""Graphs by name, and what a user's own may be and return."""

import sys
import types
from functools import partial

import pytest
import timm
import torch
from torch import nn
from torch_geometric import EdgeIndex
from torch_geometric.utils import scatter

import vig_pyg
from vig_pyg.graph import Edges, Graph, GridGraph, KNNGraph, NodeLayout, RandomGraph, build_graph, list_graphs
from vig_pyg.graph.registry import GRAPHS

MODELS = ["vig_micro", "pvig_micro"]
LAYOUT = NodeLayout.uniform(2, 4, 4)


@pytest.fixture(autouse=True)
def registry_is_left_as_it_was(monkeypatch):
    monkeypatch.setattr(GRAPHS, "factories", dict(GRAPHS.factories))
    monkeypatch.setattr(GRAPHS, "aliases", dict(GRAPHS.aliases))


def images(count=2):
    return torch.randn(count, 3, 32, 32, dtype=torch.double, generator=torch.Generator().manual_seed(0))


def create(name="vig_micro", **options):
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=3, **options).double().eval()


def row(x, layout, k=3):
    """Link every node to k nodes of its row, as a plain list in no order."""
    pos = layout.pos(x.device) * torch.tensor([1.0, 1e3])
    edges = vig_pyg.knn_graph(pos, k, layout.batch(x.device), loop=True).as_tensor()
    return edges[:, torch.randperm(edges.size(1))]


# Names ##############################################################################################


@pytest.mark.parametrize(
    ("word", "kind"), [("knn", KNNGraph), ("dynamic", KNNGraph), ("static", KNNGraph), ("grid", GridGraph)]
)
def test_a_name_builds_its_graph(word, kind):
    graph = build_graph(word, 5, 2)
    assert isinstance(graph, kind) and (graph.k, graph.dilation) == (5, 2)
    edges = graph(torch.randn(LAYOUT.num_nodes, 8), LAYOUT)
    assert edges.size(1) == 5 * LAYOUT.num_nodes
    assert (edges[1].diff() >= 0).all()


def test_the_list_holds_names_and_no_aliases():
    names = list_graphs()  # tests may have registered more
    assert names == sorted(names) and {"grid", "knn", "random", "static"} <= set(names) and "dynamic" not in names


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"no graph is called 'gird' \(did you mean 'grid'\?\); known are .*grid"):
        build_graph("gird")
    with pytest.raises(ValueError, match="no graph is called 'gird'"):
        create(graph="gird")


def test_an_unknown_option_is_refused_with_the_nearest():
    with pytest.raises(TypeError, match=r"graph 'knn' has no option 'bakend' \(did you mean 'backend'\?\); it has k,"):
        build_graph("knn", bakend="dense")
    with pytest.raises(TypeError, match="graph 'random' has no option 'sed'"):
        create(graph="random", graph_options={"sed": 1})


def test_an_option_reaches_the_graph():
    assert build_graph("knn", backend="dense").backend == "dense"
    assert create(graph="random", graph_options={"seed": 7}).blocks[0].grapher.graph.seed == 7


def test_what_a_graph_has_no_use_for_is_refused_where_it_is_asked_for():
    for options in ({"k": 4}, {"dilation": 2}, {"stochastic": True}):
        with pytest.raises(TypeError, match=f"has no option '{next(iter(options))}'; it has x, layout"):
            create(graph=lambda x, layout: None, **options)
    with pytest.raises(TypeError, match="graph 'random' has no option 'dilation'"):
        create(graph="random", dilation=2)
    with pytest.raises(TypeError, match="KNNGraph is built already: give 'k' where it is built"):
        create(graph=KNNGraph(4), k=4)
    with pytest.raises(TypeError, match="graph_options may not hold 'k'"):
        create(graph_options={"k": 4})


@pytest.mark.parametrize("wrong", [3, 0.5, ["knn"]])
def test_what_is_no_graph_is_refused(wrong):
    with pytest.raises(TypeError, match="a graph must be a name, a class, a factory, a function or a module"):
        create(graph=wrong)


# A user's own #######################################################################################


def test_every_form_of_a_graph_gives_the_same(monkeypatch):
    module = types.ModuleType("my_graphs")
    module.row = row
    monkeypatch.setitem(sys.modules, "my_graphs", module)
    vig_pyg.register_graph("row")(row)
    logits = create(graph="row", k=4)(images())
    for graph in ("my_graphs:row", row):
        torch.testing.assert_close(create(graph=graph, k=4)(images()), logits)
    torch.testing.assert_close(create(graph=lambda x, layout: row(x, layout, 4))(images()), logits)


def test_a_class_a_factory_and_a_module_give_the_same():
    logits = create(k=4, dilation=1)(images())
    for graph in (KNNGraph, partial(KNNGraph, backend="dense"), lambda k, dilation: KNNGraph(k, dilation)):
        torch.testing.assert_close(create(graph=graph, k=4, dilation=1)(images()), logits)
    torch.testing.assert_close(create(graph=KNNGraph(4))(images()), logits)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("conv", ["max_relative", "edge", "gat"])
def test_a_function_works_in_every_model_with_every_operator(name, conv):
    model = create(name, graph=row, conv=conv, k=3)
    logits, graphs = model.forward_graphs(images())
    torch.testing.assert_close(model(images()), logits)
    for batch in graphs:
        assert batch.edge_index.size(1) == 3 * batch.num_nodes
        assert (batch.edge_index[1].diff() >= 0).all()
        centers = batch.pos_source if "pos_source" in batch else batch.pos
        spacing = (batch.pos[0] * 2)[1]
        apart = (centers[batch.edge_index[0], 1] - batch.pos[batch.edge_index[1], 1]).abs()
        assert (apart < spacing + 1e-4).all()  # the same row, or the pooled row that it is part of
    model.train()(images()).sum().backward()


def test_a_link_from_a_node_becomes_one_from_the_pooled_node_that_it_is_part_of():
    grapher = create("pvig_micro", graph=lambda x, layout: torch.arange(len(x)).expand(2, -1)).blocks[0].grapher
    layout = NodeLayout.from_sizes([(4, 6), (3, 5)])
    _, edges = grapher(torch.randn(layout.num_nodes, 32, dtype=torch.double), layout)
    first = [row // 2 * 3 + column // 2 for row in range(4) for column in range(6)]
    second = [6 + row // 2 * 3 + column // 2 for row in range(3) for column in range(5)]
    assert edges.sparse_size() == (12, 39)
    assert edges.as_tensor().tolist() == [first + second, list(range(39))]


class Learned(Graph):
    """Links every node to its neighbors in the row, with a weight that is learned, and some to nobody."""

    def __init__(self, k=3):
        super().__init__()
        self.k, self.factor = k, nn.Parameter(torch.tensor(0.5))

    def forward(self, x, layout):
        edges = row(x, layout, self.k)
        edges = edges[:, edges[1] % 5 > 0]  # every fifth node has no neighbor
        return Edges(edges, self.factor * (edges[0] + 1).float() / len(x))


@pytest.mark.parametrize("name", MODELS)
def test_weights_are_factors_of_messages_and_are_learned(name):
    model = create(name, graph=Learned, conv="graph", k=3)
    logits, graphs = model.forward_graphs(images())
    logits.sum().backward()
    for layer in model.modules():
        if isinstance(layer, Learned):
            assert layer.factor.grad.abs() > 0
    last = graphs[-1]
    assert len(last.edge_weight) == last.edge_index.size(1)
    degrees = last.edge_index[1].bincount(minlength=last.num_nodes)
    assert degrees[0] == 0 and degrees[1] == 3


def test_weights_keep_their_edges_when_these_are_sorted():
    grapher = create(graph=Learned, conv="gcn").blocks[0].grapher
    _, edges = grapher(torch.randn(LAYOUT.num_nodes, 48, dtype=torch.double), LAYOUT)
    torch.testing.assert_close(edges.weight, 0.5 * (edges.adjacency.as_tensor()[0] + 1).float() / LAYOUT.num_nodes)


def test_an_operator_without_weights_refuses_them():
    with pytest.raises(TypeError, match="the graph Learned gives its edges edge_weight, but the operator takes none"):
        create(graph=Learned, conv="edge")(images())


class Quarters(Graph):
    """A hypergraph: the quarters of an image are hyperedges, each the mean of its nodes and linked to all of them."""

    def forward(self, x, layout):
        pos, batch = layout.pos(x.device), layout.batch(x.device)
        size = torch.tensor(layout.sizes).flip(1)[batch]
        half = (2 * pos > size).long()
        quarter = 4 * batch + 2 * half[:, 1] + half[:, 0]
        node = torch.arange(len(x))
        count = 4 * layout.num_graphs
        means = scatter(x, quarter, dim_size=count, reduce="mean")
        return Edges(
            torch.stack([quarter, node]),
            sources=means,
            source_batch=torch.arange(count) // 4,
            members=torch.stack([node, quarter]),
        )


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("conv", ["max_relative", "sage", "gat"])
def test_sources_may_be_no_nodes(name, conv):
    model = create(name, graph=Quarters, conv=conv)
    logits, graphs = model.forward_graphs(images())
    assert logits.shape == (2, 3)
    first = graphs[0]
    assert len(first.pos_source) == 8
    assert first[1].edge_index[0].unique().tolist() == [0, 1, 2, 3]
    torch.testing.assert_close(first[0].pos_source, torch.tensor([[8.0, 8], [24, 8], [8, 24], [24, 24]]))
    assert torch.equal(first.members.flip(0)[:, first.members[0].argsort()], first.edge_index)
    model.train()(images()).sum().backward()


def test_what_a_graph_may_not_return_is_refused():
    with pytest.raises(TypeError, match=r"edge_index must be a tensor or a sparse adjacency, got NoneType"):
        create(graph=lambda x, layout: None)(images())
    with pytest.raises(ValueError, match="an edge has source 128, but there are 128 source nodes"):
        create(graph=lambda x, layout: torch.tensor([[128], [0]]))(images())
    with pytest.raises(ValueError, match="there are 1 edges but 2 weights"):
        create(graph=lambda x, layout: Edges(torch.zeros(2, 1, dtype=torch.long), torch.ones(2)))(images())


def test_an_image_has_the_same_graph_alone_and_in_a_batch():
    for graph in ("knn", "grid", RandomGraph, row):
        model = create(graph=graph)
        torch.testing.assert_close(model(images()), torch.cat([model(images()[:1]), model(images()[1:])]))


def test_edges_that_are_sorted_are_taken_as_they_are():
    made = []

    def loops(x, layout):
        made.append(EdgeIndex(torch.arange(len(x)).expand(2, -1), sparse_size=(len(x),) * 2, sort_order="col"))
        return made[-1]

    grapher = create(graph=loops).blocks[0].grapher
    _, edges = grapher(torch.randn(LAYOUT.num_nodes, 48, dtype=torch.double), LAYOUT)
    assert edges is made[0]


@pytest.mark.parametrize("conv", ["max_relative", "edge", "gin", "sage"])
def test_a_model_of_an_irregular_graph_is_exported(conv):
    class Lower(GridGraph):
        def links(self, targets, sources):
            edges = super().links(targets, sources)
            return edges[:, edges[0] < edges[1]]  # the first node has no neighbor, others up to four

    model = create(graph=Lower, conv=conv)
    program = torch.export.export(model, (images(),))
    torch.testing.assert_close(program.module()(images()), model(images()))
