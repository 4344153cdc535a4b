"""What people do with PyG's layers, a line each, done with ours in their place."""

import copy
import warnings

import pytest
import torch
import torch_geometric
from torch import nn
from torch_geometric import EdgeIndex
from torch_geometric import nn as pyg
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.explain import Explainer, GNNExplainer
from torch_geometric.loader import NeighborLoader
from torch_geometric.nn import summary, to_hetero
from torch_geometric.transforms import ToSparseTensor
from torch_geometric.typing import WITH_PYG_LIB, WITH_TORCH_SPARSE
from torch_geometric.utils import bipartite_subgraph

from vig_pyg import EdgeConv, GINConv, MaxRelativeConv, SAGEConv


def pyg_edge(in_channels, out_channels, **kwargs):
    width = in_channels if isinstance(in_channels, int) else in_channels[0]
    return pyg.EdgeConv(pyg.Linear(2 * width if width > 0 else -1, out_channels), **kwargs)


def pyg_gin(in_channels, out_channels, **kwargs):
    width = in_channels if isinstance(in_channels, int) else in_channels[0]
    return pyg.GINConv(pyg.Linear(width, out_channels), train_eps=True, **kwargs)


OURS = {"max_relative": MaxRelativeConv, "edge": EdgeConv, "gin": GINConv, "sage": SAGEConv}
PYG = {"pyg_edge": pyg_edge, "pyg_gin": pyg_gin, "pyg_sage": pyg.SAGEConv, "pyg_graph": pyg.GraphConv}
every_layer = pytest.mark.parametrize("layer", [*OURS.values(), *PYG.values()], ids=[*OURS, *PYG])
ours = pytest.mark.parametrize("layer", OURS.values(), ids=OURS)
weighed = pytest.mark.parametrize("layer", [MaxRelativeConv, GINConv, SAGEConv, pyg.GraphConv])
pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")

NODES = 20


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def graph(sources=NODES, targets=NODES, width=8):
    """Features and unsorted edges, some twice, with nodes that nobody points at."""
    x = torch.randn(sources, width)
    return x, torch.stack([torch.randint(sources, (60,)), torch.randint(targets - 2, (60,))])


def same(conv, x, edges, *others):
    """Check that other forms of the edges give what a list of them does."""
    expected = conv.eval()(x, edges)
    for form in others:
        torch.testing.assert_close(conv(x, form), expected, rtol=1e-4, atol=1e-5)
    return expected


# Nodes and edges ##########################################################################################


@every_layer
def test_a_graph(layer):
    x, edges = graph()
    assert layer(8, 16)(x, edges).shape == (NODES, 16)


@every_layer
def test_edges_in_any_form(layer):
    x, edges = graph()
    adjacency = torch.zeros(NODES, NODES)
    adjacency[edges[1], edges[0]] = 1
    edges = adjacency.nonzero().T.flip(0)[:, torch.randperm(int(adjacency.sum()))]
    forms = [
        EdgeIndex(edges, sparse_size=(NODES, NODES)),
        EdgeIndex(edges, sparse_size=(NODES, NODES)).sort_by("row").values,
        EdgeIndex(edges, sparse_size=(NODES, NODES)).sort_by("col").values,
        adjacency.to_sparse_coo(),
        adjacency.to_sparse_csr(),
    ]
    same(layer(8, 16), x, edges, *forms, *([adjacency.to_sparse_csc()] if layer in OURS.values() else []))


@ours
def test_edges_of_32_bits(layer):
    x, edges = graph()
    same(layer(8, 16), x, edges, edges.int(), EdgeIndex(edges.int(), sparse_size=(NODES, NODES)))


@every_layer
def test_a_transposed_sparse_adjacency_of_data(layer):
    x, edges = graph()
    data = ToSparseTensor(layout=torch.sparse_csr)(Data(x=x, edge_index=edges.unique(dim=1)))
    same(layer(8, 16), x, edges.unique(dim=1), data.adj_t)


@every_layer
def test_a_batch_of_graphs(layer):
    graphs = [Data(x=x, edge_index=edges) for x, edges in (graph(), graph(9, 9))]
    conv, batch = layer(8, 16).eval(), Batch.from_data_list(graphs)
    alone = torch.cat([conv(data.x, data.edge_index) for data in graphs])
    torch.testing.assert_close(conv(batch.x, batch.edge_index), alone, rtol=1e-4, atol=1e-5)


@every_layer
def test_messages_from_target_to_source(layer):
    x, edges = graph()
    back, conv = layer(8, 16, flow="target_to_source"), layer(8, 16)
    back.load_state_dict(conv.state_dict())
    torch.testing.assert_close(back.eval()(x, edges), conv.eval()(x, edges.flip(0)), rtol=1e-4, atol=1e-5)


# Bipartite graphs #########################################################################################


@every_layer
def test_sources_and_targets(layer):
    (sources, edges), targets = graph(30, 12), torch.randn(12, 8)
    assert layer(8, 16)((sources, targets), edges).shape == (12, 16)


@pytest.mark.parametrize("layer", [*OURS.values(), pyg.SAGEConv, pyg.GraphConv])
def test_sources_and_targets_of_other_widths(layer):
    (sources, edges), targets = graph(30, 12), torch.randn(12, 5)
    assert layer((8, 5), 16)((sources, targets), edges).shape == (12, 16)


@pytest.mark.parametrize("layer", [*OURS.values(), pyg_gin, pyg.SAGEConv, pyg.GraphConv])
def test_targets_without_features(layer):
    sources, edges = graph(30, 12)
    conv = layer((8, 8), 16)
    out = conv((sources, None), edges, size=(30, 12))
    assert out.shape == (12, 16) and out.isfinite().all()


@ours
def test_targets_without_features_are_zeros(layer):
    sources, edges = graph(30, 12)
    conv = layer((8, 4), 16).eval()
    expected = conv((sources, torch.zeros(12, 4)), edges)
    torch.testing.assert_close(conv((sources, None), edges, size=(30, 12)), expected)
    torch.testing.assert_close(conv((sources, None), EdgeIndex(edges, sparse_size=(30, 12))), expected)


@pytest.mark.parametrize("layer", [*OURS.values(), pyg.SAGEConv, pyg.GraphConv])
def test_a_block_of_a_sampled_graph(layer):
    x, edges = graph()
    targets = torch.arange(6)
    (_, targets), block = (
        (None, targets),
        bipartite_subgraph((torch.arange(NODES), targets), edges, size=(NODES,) * 2)[0],
    )
    conv = layer(8, 16).eval()
    expected = conv(x, edges[:, edges[1] < 6])[:6]
    torch.testing.assert_close(conv((x, x[:6]), block), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not (WITH_PYG_LIB or WITH_TORCH_SPARSE), reason="neighbors are sampled by pyg-lib or torch-sparse")
@every_layer
def test_a_neighbor_loader(layer):
    x, edges = graph()
    conv = layer(8, 16)
    for batch in NeighborLoader(Data(x=x, edge_index=edges), [3], batch_size=4):
        assert conv(batch.x, batch.edge_index)[: batch.batch_size].shape == (batch.batch_size, 16)


# Widths that the first call says ##########################################################################


@every_layer
def test_lazy_widths(layer):
    conv = layer(-1, 16)
    optimizer = torch.optim.SGD(conv.parameters(), 0.1)
    x, edges = graph()
    out = conv(x, edges)
    before = [p.clone() for p in conv.parameters()]
    out.square().sum().backward()
    optimizer.step()
    assert out.shape == (NODES, 16)
    assert any(not torch.equal(old, new) for old, new in zip(before, conv.parameters(), strict=True))


@pytest.mark.parametrize("layer", [*OURS.values(), pyg.SAGEConv, pyg.GraphConv])
def test_lazy_widths_of_sources_and_targets(layer):
    (sources, edges), targets = graph(30, 12), torch.randn(12, 5)
    assert layer((-1, -1), 16)((sources, targets), edges).shape == (12, 16)


@ours
@pytest.mark.parametrize("widths", [8, (8, 8), (8, 4)])
def test_a_lazy_operator_becomes_the_one_of_its_widths(layer, widths):
    target = 8 if widths == 8 else widths[1]
    (sources, edges), targets = graph(30, 12), torch.randn(12, target)
    x = sources if widths == 8 else (sources, targets)
    lazy = layer(-1 if widths == 8 else (-1, -1), 16, heads=2).double().float()
    torch.manual_seed(1)
    out = lazy(x, edges)
    torch.manual_seed(1)
    known = layer(widths, 16, heads=2)
    assert torch.equal(out, known(x, edges)) and repr(lazy) == repr(known)
    assert list(lazy.state_dict()) == list(known.state_dict())
    copy.deepcopy(lazy)(x, edges)
    with pytest.raises(ValueError, match=r"must have shape \[nodes, 8\]"):
        lazy(torch.randn(30, 9) if widths == 8 else (torch.randn(30, 9), targets), edges)


# Aggregations #############################################################################################


@pytest.mark.parametrize(
    "aggr", ["mean", "min", "sum", "median", "std", ["mean", "max"], pyg.SoftmaxAggregation(learn=True)]
)
@pytest.mark.parametrize("layer", [*OURS.values(), pyg.SAGEConv, pyg_edge])
def test_any_aggregation(layer, aggr):
    x, edges = graph()
    if layer is GINConv and isinstance(aggr, list):
        with pytest.raises(ValueError, match="must keep the width"):
            layer(8, 16, aggr=aggr)
        return
    conv = layer(8, 16, aggr=copy.deepcopy(aggr))
    assert conv(x, edges).shape == (NODES, 32 if isinstance(aggr, list) and layer in (EdgeConv, pyg_edge) else 16)


def test_an_edge_convolution_with_the_mean_is_pyg_s():
    x, edges = graph()
    conv = EdgeConv(8, 16, norm=None, act=None, aggr="mean")
    theirs = pyg.EdgeConv(conv.nn.linear, aggr="mean")
    torch.testing.assert_close(conv(x, edges), theirs(x, edges))


def test_a_gin_convolution_with_weights_is_the_sum_of_weighed_neighbors():
    x, edges = graph()
    weight, conv = torch.rand(60), GINConv(8, 16, norm=None, act=None)
    total = torch.zeros(NODES, 8).index_add(0, edges[1], weight[:, None] * x[edges[0]])
    torch.testing.assert_close(conv(x, edges, weight), conv.nn(x + total))


# What edges carry #########################################################################################


@weighed
def test_weights_of_edges(layer):
    x, edges = graph()
    conv, weight = layer(8, 16).eval(), torch.rand(60, requires_grad=True)
    out = conv(x, edges, edge_weight=weight)
    out.square().sum().backward()
    assert weight.grad.abs().sum() > 0
    torch.testing.assert_close(conv(x, edges, edge_weight=torch.ones(60)), conv(x, edges), rtol=1e-4, atol=1e-5)


def test_features_of_edges():
    x, edges = graph()
    features, conv = torch.randn(60, 3), EdgeConv(8, 16, norm=None, act=None, edge_dim=3)
    pairs = torch.cat([x[edges[1]], x[edges[0]] - x[edges[1]], features], dim=1)
    expected = pyg.MaxAggregation()(conv.nn(pairs), edges[1], dim_size=NODES)
    torch.testing.assert_close(conv(x, edges, features), expected)
    with pytest.raises(ValueError, match=r"edge_attr must have shape \[60, 3\], a row per edge, got \[60, 2\]"):
        conv(x, edges, features[:, :2])
    with pytest.raises(TypeError, match="but got none"):
        conv(x, edges)


# Heterogeneous graphs #####################################################################################


@pytest.fixture
def hetero():
    data = HeteroData()
    data["paper"].x, data["author"].x = torch.randn(20, 8), torch.randn(12, 5)
    data["paper", "cites", "paper"].edge_index = graph()[1]
    data["author", "writes", "paper"].edge_index = graph(12, 20)[1]
    data["paper", "by", "author"].edge_index = graph(20, 12)[1]
    return data


@pytest.mark.parametrize("layer", [*OURS.values(), pyg.SAGEConv, pyg.GraphConv])
def test_hetero_conv(layer, hetero):
    conv = pyg.HeteroConv({kind: layer((-1, -1), 16) for kind in hetero.edge_types})
    out = conv(hetero.x_dict, hetero.edge_index_dict)
    assert out["paper"].shape == (20, 16) and out["author"].shape == (12, 16)


@pytest.mark.parametrize("layer", [*OURS.values(), pyg.SAGEConv, pyg.GraphConv])
def test_to_hetero(layer, hetero):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = layer((-1, -1), 16), layer((-1, -1), 4)

        def forward(self, x, edge_index):
            return self.second(self.first(x, edge_index).relu(), edge_index)

    net = to_hetero(Net(), hetero.metadata())
    out = net(hetero.x_dict, hetero.edge_index_dict)
    assert out["paper"].shape == (20, 4) and out["author"].shape == (12, 4)
    assert all(p.requires_grad for p in net.parameters())


# Around a layer ###########################################################################################


@every_layer
def test_sequential(layer):
    x, edges = graph()
    net = pyg.Sequential("x, edge_index", [(layer(8, 16), "x, edge_index -> x"), nn.ReLU(), nn.Linear(16, 3)])
    assert net(x, edges).shape == (NODES, 3)


@every_layer
def test_summary(layer):
    x, edges = graph()
    assert type(layer(8, 16)).__name__ in summary(layer(8, 16), x, edges)


@every_layer
def test_repr_and_reset(layer):
    x, edges = graph()
    conv = layer(8, 16).eval()
    assert repr(conv).startswith(type(conv).__name__ + "(")
    before = conv(x, edges)
    conv.reset_parameters()
    assert not torch.allclose(conv(x, edges), before)


@every_layer
def test_jittable_is_accepted(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyG says that it does nothing any more
        conv = layer(8, 16)
        assert conv.jittable() is conv


@every_layer
def test_compile(layer):
    x, edges = graph()
    conv = layer(8, 16).eval()
    compiled = torch.compile(conv, backend="aot_eager")
    torch.testing.assert_close(compiled(x, edges), conv(x, edges), rtol=1e-4, atol=1e-5)


@every_layer
def test_an_explainer(layer):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = layer(8, 3)

        def forward(self, x, edge_index):
            return self.conv(x, edge_index)

    x, edges = graph()
    config = {"mode": "multiclass_classification", "task_level": "node", "return_type": "raw"}
    masks = {"node_mask_type": "attributes", "edge_mask_type": "object"}
    explainer = Explainer(Net().eval(), GNNExplainer(epochs=3), "model", config, **masks)
    explanation = explainer(x, edges, index=3)
    used = edges[1] == 3
    assert explanation.edge_mask.shape == (60,) and explanation.edge_mask[used].max() > 0


@every_layer
def test_gradients_reach_everything(layer):
    x, edges = graph()
    x.requires_grad_()
    conv = layer(8, 16)
    conv(x, edges).square().sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(p.grad is not None for p in conv.parameters())


@every_layer
def test_a_state_dict_in_another_copy(layer):
    x, edges = graph()
    one, other = layer(8, 16).eval(), layer(8, 16).eval()
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x, edges), other(x, edges))


def test_wrong_sizes_say_which():
    x, edges = graph()
    with pytest.raises(ValueError, match=r"size=\(20, 9\) does not fit x, which holds 20 sources and 20 targets"):
        MaxRelativeConv(8, 16)(x, edges, size=(20, 9))
    with pytest.raises(ValueError, match=r"edge_weight must have shape \[60\], one number per edge, got \[59\]"):
        GINConv(8, 16)(x, edges, torch.rand(59))
    with pytest.raises(ValueError, match="node_dim must be -2 or 0, got 1"):
        SAGEConv(8, 16, node_dim=1)
    with pytest.raises(ValueError, match="is for one set of nodes"):
        GINConv(8, 16, flow="target_to_source")((x, x.clone()), edges)


def test_pyg_s_seed_is_ours():
    torch_geometric.seed_everything(3)
    first = MaxRelativeConv(8, 16).nn.linear.weight
    torch_geometric.seed_everything(3)
    assert torch.equal(first, MaxRelativeConv(8, 16).nn.linear.weight)
