"""Models on nodes without a grid: points in two and three dimensions, superpixels, documents."""

import pytest
import timm
import torch
import torch.nn.functional as F
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GCNConv, PointNetConv

from vig_pyg.models.node_inputs import read_nodes

NAMES = ["vig_micro", "pvig_micro"]


def cloud(count, dim=2, width=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x, pos = torch.randn(count, width, generator=generator), 10 * torch.rand(count, dim, generator=generator)
    edges = torch.randint(count, (2, 4 * count), generator=generator)
    return Data(x=x, pos=pos, edge_index=edges, y=torch.tensor([seed % 3]))


def create(name="vig_micro", **options):
    torch.manual_seed(0)
    return timm.create_model(name, stem="nodes", **{"in_chans": 5, "num_classes": 3, **options})


CLOUDS = [cloud(200, seed=0), cloud(240, seed=1), cloud(225, seed=2)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_cloud_gets_the_logits_that_it_gets_alone(name, dim):
    clouds = [cloud(400 + 30 * i, dim, seed=i) for i in range(3)]
    model = create(name, pos_dim=dim, k=4).double().eval()
    clouds = [Data(x=c.x.double(), pos=c.pos.double()) for c in clouds]
    together = model(Batch.from_data_list(clouds))
    torch.testing.assert_close(together, torch.cat([model(c) for c in clouds]))
    assert together.shape == (3, 3)


@pytest.mark.parametrize("name", NAMES)
def test_it_learns(name):
    model, batch = create(name, k=4), next(iter(DataLoader(CLOUDS, 3)))
    adam, losses = torch.optim.Adam(model.parameters(), 1e-3), []
    for _ in range(6):
        losses.append(F.cross_entropy(model(batch), batch.y))
        adam.zero_grad()
        losses[-1].backward()
        adam.step()
    assert losses[-1] < losses[0]
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_places_matter_and_moving_or_scaling_them_does_not(name):
    model, (x, pos) = create(name, k=4).double().eval(), (CLOUDS[0].x.double(), CLOUDS[0].pos.double())
    expected = model(Data(x=x, pos=pos))
    torch.testing.assert_close(model(Data(x=x, pos=40 * pos - 7)), expected)
    assert not torch.allclose(model(Data(x=x, pos=pos.flip(1))), expected, atol=1e-2)


def test_nodes_without_places():
    model = create(pos_dim=0).eval()
    expected = model(Data(x=CLOUDS[0].x))
    torch.testing.assert_close(model(CLOUDS[0]), expected)


def test_places_alone_are_features():
    model = create(in_chans=3, pos_dim=3).eval()
    pos = torch.rand(50, 3)
    torch.testing.assert_close(model(Data(pos=pos)), model(Data(x=pos, pos=pos)))


@pytest.mark.parametrize("name", NAMES)
def test_graphs_of_every_block(name):
    model = create(name, k=4).eval()
    batch = Batch.from_data_list(CLOUDS)
    logits, graphs = model.forward_graphs(batch)
    torch.testing.assert_close(logits, model(batch))
    assert [g.num_graphs for g in graphs] == [3] * len(graphs)
    assert torch.equal(graphs[0].pos, batch.pos)
    assert torch.equal(graphs[0].batch, batch.batch)


def test_every_node_has_logits():
    model = create(readout="nodes").eval()
    batch = Batch.from_data_list(CLOUDS)
    assert model(batch).shape == (batch.num_nodes, 3)
    torch.testing.assert_close(model(batch)[:200], model(CLOUDS[0]), rtol=1e-4, atol=1e-4)


def test_pixels_have_logits_too():
    model = timm.create_model("vig_micro", readout="nodes", num_classes=3).eval()
    assert model(torch.randn(2, 3, 32, 32)).shape == (2 * 64, 3)


def test_the_edges_of_the_data_are_used_where_they_are_wanted():
    model = create(graph="static").eval()
    _, graphs = model.forward_graphs(CLOUDS[0])
    given = set(map(tuple, CLOUDS[0].edge_index.T.tolist()))
    for graph in graphs:
        assert set(map(tuple, graph.edge_index.T.tolist())) == given


def test_points_without_features_have_edges_too():
    model, pos, edges = create(graph="static", in_chans=2).eval(), CLOUDS[0].pos, CLOUDS[0].edge_index
    torch.testing.assert_close(model(Data(pos=pos, edge_index=edges)), model(Data(x=pos, pos=pos, edge_index=edges)))


def test_weights_of_the_data_are_used():
    model = create(graph="static", conv="gcn").eval()
    weighed = CLOUDS[0].clone()
    weighed.edge_weight = torch.rand(weighed.num_edges)
    assert not torch.allclose(model(weighed), model(CLOUDS[0]), atol=1e-3)
    with pytest.raises(TypeError, match="gives its edges edge_weight, but the operator takes none"):
        create(graph="static", conv="edge")(weighed)


class OfPlaces(PointNetConv):
    """PyG's operator of PointNet++, which asks for places."""

    def __init__(self, in_channels, out_channels):
        super().__init__(torch.nn.Linear(in_channels + 2, out_channels), add_self_loops=False)


@pytest.mark.parametrize("name", NAMES)
def test_an_operator_that_asks_for_places_gets_them(name):
    model = create(name, conv=OfPlaces, k=4, grapher_fc=False).eval()
    seen = []
    conv = model.blocks[0].grapher.conv.conv
    conv.register_forward_pre_hook(lambda _, args, kwargs: seen.append(kwargs["pos"]), with_kwargs=True)
    model(CLOUDS[0])
    assert torch.equal(seen[0][:200], CLOUDS[0].pos)


class KnowsK(GCNConv):
    def forward(self, x, edge_index, k):
        return super().forward(x, edge_index) / k


def test_an_operator_that_asks_for_k_gets_it():
    assert create(conv=KnowsK, k=4).eval()(CLOUDS[0]).isfinite().all()


class Pair(GCNConv):
    def forward(self, x, edge_index):
        return super().forward(x, edge_index), edge_index


class Half(GCNConv):
    def forward(self, x, edge_index):
        return super().forward(x, edge_index)[::2]


class Axis(GCNConv):
    def forward(self, x, edge_index):
        return super().forward(x, edge_index)[None]


@pytest.mark.parametrize(
    ("conv", "message"),
    [
        (Pair, "Pair returned a tuple of 2 where a tensor was asked for"),
        (Half, r"Half returned shape \[100, 96\] where a row for every node was asked for, \[200, 96\]"),
        (Axis, r"Axis returned shape \[1, 200, 96\] where a row for every node was asked for"),
    ],
)
def test_what_an_operator_returns_wrongly_is_said(conv, message):
    with pytest.raises((TypeError, ValueError), match=message):
        create(conv=conv)(CLOUDS[0])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (torch.randn(1, 5, 8, 8), "inputs must be a PyG Data or Batch with x, pos and batch"),
        (Data(x=torch.randn(9, 4), pos=torch.rand(9, 2)), r"nodes must have 5 features \(in_chans\), got 4"),
        (Data(x=torch.randn(9, 5)), r"pos must have shape \[9, 2\] \(pos_dim=2\), got none"),
        (Data(x=torch.randn(9, 5), pos=torch.rand(9, 3)), r"pos must have shape \[9, 2\] .* got \[9, 3\]"),
        (Data(x=torch.randn(9, 5).double(), pos=torch.rand(9, 2)), r"nodes must be torch\.float32"),
        (Data(x=torch.randn(0, 5), pos=torch.rand(0, 2)), "there must be at least one node"),
        (Data(x=torch.randn(3, 5), pos=torch.rand(3, 2)), "k=9 neighbors need at least 9 nodes, but graph 0 offers 3"),
    ],
)
def test_wrong_nodes_are_refused_in_one_sentence(inputs, message):
    with pytest.raises((TypeError, ValueError), match=message):
        create()(inputs)


def test_features_and_the_layout_of_places_are_read():
    like = torch.zeros(1)
    x, layout = read_nodes(CLOUDS[0], 5, 2, like)
    assert x is CLOUDS[0].x and layout.counts == [200] and layout.has_places
    assert not read_nodes(CLOUDS[0], 5, 0, like)[1].has_places


def test_feature_maps_and_pixels_are_for_grids():
    with pytest.raises(TypeError, match="nodes without a grid have no feature map"):
        create().forward_features(CLOUDS[0])
    with pytest.raises(ValueError, match="stem must be 'conv', 'patch' or 'nodes', got 'point'"):
        timm.create_model("vig_micro", stem="point")


def test_gradient_checkpointing_gives_the_same_gradients():
    gradients = []
    for enable in (False, True):
        model = create(k=4)
        model.set_grad_checkpointing(enable)
        model(Batch.from_data_list(CLOUDS)).square().sum().backward()
        gradients.append(model.stem.fc1.linear.weight.grad)
    torch.testing.assert_close(*gradients)
