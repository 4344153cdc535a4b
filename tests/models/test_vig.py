"""Every choice of ViG does what it says, and the graphs it returns are those it used."""

import pytest
import timm
import torch
import torch.nn.functional as F
from torch_geometric.data import Batch, Data
from torch_geometric.utils import degree

import vig_pyg
from vig_pyg.blocks import ConvStem, PatchStem, pool_nodes
from vig_pyg.graph.layout import NodeLayout


def create(**options):
    torch.manual_seed(0)
    return timm.create_model("vig_micro", **options).double().eval()


def images(count=2, size=(32, 32)):
    return torch.randn(count, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def graphers(model):
    return [block.grapher for block in model.blocks if hasattr(block, "grapher")]


def outputs(model, modules, x):
    """What modules return while the model works on ``x``."""
    kept = []
    hooks = [m.register_forward_hook(lambda _, __, output: kept.append(output)) for m in modules]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return kept


# Keywords ###########################################################################################


def test_the_constructor_and_timm_make_the_same_model():
    torch.manual_seed(0)
    model = vig_pyg.ViG(32, num_classes=10, channels=48, depth=4, stride=4, k=9).double().eval()
    assert torch.equal(model(images()), create()(images()))


def test_the_paper_s_numbers_are_the_defaults():
    with torch.device("meta"):
        tiny = [g.graph for g in graphers(timm.create_model("vig_tiny"))]
        small = [g.graph for g in graphers(timm.create_model("vig_small"))]
    assert [g.k for g in tiny] == [9, 9, 10, 11, 12, 13, 13, 14, 15, 16, 17, 18]
    assert [g.dilation for g in tiny] == [1] * 4 + [2] * 4 + [3] * 4
    assert [g.k for g in small] == [9, 9, 10, 10, 11, 12, 12, 13, 13, 14, 15, 15, 16, 16, 17, 18]
    assert [g.dilation for g in small] == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4


def test_graphers_may_stand_without_linear_layers():
    model = create(grapher_fc=False)
    assert all(isinstance(layer, torch.nn.Identity) for g in graphers(model) for layer in (g.fc1, g.fc2))
    assert all(g.conv.out_channels == 48 for g in graphers(model))
    assert model(images()).isfinite().all()


def test_blocks_may_stand_without_ffn():
    model = create(ffn=False)
    assert not any("ffn" in name for name in model.state_dict())
    with torch.no_grad():
        _, graphs = model.forward_graphs(images())
    last = outputs(model, [graphers(model)[-1]], images())[0][0]
    torch.testing.assert_close(graphs[-1].x, last)


@pytest.mark.parametrize("k", [3, [2, 5, 9, 4]])
def test_k_is_the_degree_of_every_node(k):
    with torch.no_grad():
        _, graphs = create(k=k).forward_graphs(images())
    for graph, expected in zip(graphs, [k] * 4 if isinstance(k, int) else k, strict=True):
        assert torch.all(degree(graph.edge_index[1], graph.num_nodes) == expected)


@pytest.mark.parametrize("dilation", [2, [1, 3, 2, 1]])
def test_dilation_keeps_every_nth_neighbor(dilation):
    dilated, dense = create(k=4, dilation=dilation), create(k=16, dilation=1)
    dense.load_state_dict(dilated.state_dict())
    for d, grapher, wide in zip(
        [2] * 4 if dilation == 2 else dilation, graphers(dilated), graphers(dense), strict=True
    ):
        x, layout = torch.randn(64, 48, dtype=torch.float64), NodeLayout.uniform(1, 8, 8)
        nearest = wide.graph(x, layout).as_tensor()[0].view(64, 16)
        assert torch.equal(grapher.graph(x, layout).as_tensor()[0].view(64, 4), nearest[:, : 4 * d : d])


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_heads_divide_the_weights(heads):
    model = create(heads=heads)
    assert all(g.conv.nn.linear.weight.shape == (96, 96 // heads) for g in graphers(model))
    assert model(images()).shape == (2, 10)


CONVS = {
    "max_relative": vig_pyg.MaxRelativeConv,
    "mr": vig_pyg.MaxRelativeConv,
    "edge": vig_pyg.EdgeConv,
    "gin": vig_pyg.GINConv,
    "sage": vig_pyg.SAGEConv,
}


@pytest.mark.parametrize("conv", CONVS)
def test_the_operator_is_chosen_by_name(conv):
    model = create(conv=conv)
    assert all(type(g.conv) is CONVS[conv] for g in graphers(model))
    assert torch.equal(create(conv=CONVS[conv])(images()), model(images()))


@pytest.mark.parametrize("conv", vig_pyg.list_convs())
def test_every_registered_operator_trains(conv):
    model = create(conv=conv).train()
    loss = F.cross_entropy(model(images(4)), torch.tensor([0, 1, 2, 3]))
    loss.backward()
    assert loss.isfinite()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_layer_norm_replaces_the_batch_norms_of_the_trunk():
    model = create(norm="layer").train()
    norms = [type(m) for name, m in model.named_modules() if "Norm" in type(m).__name__ and "head" not in name]
    norms = [norm for norm in norms if norm is not torch.nn.Identity and norm.__module__.startswith("torch")]
    assert set(norms) == {torch.nn.LayerNorm}
    x = images()
    alone = torch.cat([model.forward_features(image[None]) for image in x])
    torch.testing.assert_close(model.forward_features(x), alone)  # in training, too: no statistics of the batch


def test_the_activation_is_used_everywhere():
    model = create(act="relu")
    assert not any(isinstance(m, torch.nn.GELU) or type(m).__name__ == "GELU" for m in model.modules())
    assert any(isinstance(m, torch.nn.ReLU) for m in model.head.modules())


def test_the_stem_may_be_patches():
    model = create(stem="patch")
    assert isinstance(model.stem, PatchStem)
    assert isinstance(create().stem, ConvStem)
    changed = images()
    changed[:, :, :4, :4] = 0
    difference = outputs(model, [model.stem], images())[0][0] - outputs(model, [model.stem], changed)[0][0]
    assert difference.view(2, 64, 48).abs().sum((0, 2)).nonzero().flatten().tolist() == [0]


@pytest.mark.parametrize("name", ["vig_micro", "vig_tiny"])
def test_the_accumulated_readout_sums_what_stem_and_blocks_return(name):
    torch.manual_seed(0)
    model = timm.create_model(name, img_size=64, num_classes=3, readout="accumulated", k=4).double().eval()
    with torch.no_grad():
        model.pos_embed.normal_()
    x = images(2, (64, 64))
    stem, *blocks = outputs(model, [model.stem, *model.blocks], x)
    positions = model.pos_embed.permute(0, 2, 3, 1).flatten(0, 2).repeat(2, 1)
    total = pool_nodes(stem[0] + positions, stem[1]) + sum(pool_nodes(b[0], b[1]) for b in blocks)
    torch.testing.assert_close(model(x), model.head(total))
    plain = timm.create_model(name, img_size=64, num_classes=3, k=4).double().eval()
    plain.load_state_dict(model.state_dict())
    torch.testing.assert_close(plain(x), model.head(pool_nodes(*blocks[-1][:2])))


def test_a_static_graph_is_shared_by_all_blocks():
    with torch.no_grad():
        logits, static = create(graph="static").forward_graphs(images())
        _, dynamic = create().forward_graphs(images())
        torch.testing.assert_close(create(graph="static")(images()), logits)
    assert all(torch.equal(g.edge_index, static[0].edge_index) for g in static)
    assert torch.equal(static[0].edge_index, dynamic[0].edge_index)
    assert not torch.equal(dynamic[1].edge_index, dynamic[0].edge_index)


def test_a_static_graph_may_come_with_the_batch():
    data = vig_pyg.PatchGraph(4, k=5)(images(1)[0])
    batch = Batch.from_data_list([data, data])
    with torch.no_grad():
        _, graphs = create(stem="patch", graph="static").forward_graphs(batch)
        _, dynamic = create(stem="patch").forward_graphs(batch)
    assert all(torch.equal(g.edge_index, batch.edge_index) for g in graphs)
    assert dynamic[0].edge_index.size(1) == 128 * 9


def test_the_graph_may_be_any_callable():
    layouts = []

    def loops(x, layout):
        layouts.append(layout)
        return vig_pyg.knn_graph(x, 1, layout.batch(), loop=True)

    with torch.no_grad():
        _, graphs = create(graph=loops).forward_graphs(images())
    assert layouts == [NodeLayout.uniform(2, 8, 8)] * 4
    assert all(torch.equal(g.edge_index, torch.arange(128).expand(2, -1)) for g in graphs)


def test_a_stochastic_graph_varies_in_training_only():
    options = {"k": 4, "dilation": 4, "stochastic": True}
    always, never = create(epsilon=1.0, **options), create(epsilon=0.0, **options)
    x, layout = torch.randn(64, 48), NodeLayout.uniform(1, 8, 8)
    graph, still = graphers(always)[0].graph, graphers(never)[0].graph
    nearest = always.eval() and graph(x, layout).as_tensor()
    assert torch.equal(graph(x, layout).as_tensor(), nearest)
    always.train(), never.train()
    assert torch.equal(still(x, layout).as_tensor(), nearest)
    drawn = graph(x, layout).as_tensor()
    assert not torch.equal(drawn, nearest)
    candidates = create(k=16, dilation=1).blocks[0].grapher.graph(x, layout).as_tensor()[0].view(64, 16)
    assert all(set(a.tolist()) <= set(b.tolist()) for a, b in zip(drawn[0].view(64, 4), candidates, strict=True))


WRONG = {
    "conv": ({"conv": "max_relativ"}, "did you mean 'max_relative'"),
    "graph": ({"graph": "fixed"}, "no graph is called 'fixed'; known are"),
    "norm": ({"norm": "group"}, "norm must be one of batch, layer, got 'group'"),
    "act": ({"act": "gello"}, "timm has no activation called 'gello'"),
    "stem": ({"stem": "convs"}, "stem must be 'conv', 'patch' or 'nodes', got 'convs'"),
    "readout": ({"readout": "sum"}, "readout must be one of 'mean', 'accumulated', 'nodes', got 'sum'"),
    "k of another length": ({"k": [9, 9, 9]}, "k has 3 entries for 4 blocks"),
    "dilation of another length": ({"dilation": [1] * 5}, "dilation has 5 entries for 4 blocks"),
    "k zero": ({"k": 0}, "k must be at least 1, got 0"),
    "dilation zero": ({"dilation": 0}, "dilation must be at least 1, got 0"),
    "epsilon": ({"epsilon": 2.0}, "epsilon is a probability between 0 and 1, got 2.0"),
    "heads": ({"heads": 5}, "heads=5 must divide 96 input and 96 output channels"),
    "heads zero": ({"heads": 0}, "heads must be at least 1, got 0"),
    "stride": ({"stride": 6}, "power of two, at least 2, got 6"),
    "channels": ({"channels": 42, "stride": 8}, "multiple of 4 channels, got 42"),
    "drop_path_rate": ({"drop_path_rate": 1.5}, "between 0 and 1, got"),
    "dropout": ({"dropout": -1.0}, "dropout is a probability between 0 and 1, got -1"),
    "image size": (
        {"img_size": 3, "stem": "patch"},
        "an image of 3×3 pixels is smaller than the stride of the stem, 4",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_refused_in_a_sentence(case):
    options, sentence = WRONG[case]
    with pytest.raises(ValueError, match=sentence):
        create(**options)


# Graphs #############################################################################################


@pytest.fixture(scope="module")
def run():
    """A model, images of two sizes in a batch, and what ``forward_graphs`` returns for them."""
    model = create(k=[3, 4, 5, 6])
    batch = Batch.from_data_list([vig_pyg.image_data(images(1, size)[0]) for size in [(32, 32), (22, 41)]])
    with torch.no_grad():
        logits, graphs = model.forward_graphs(batch)
    return model, batch, logits, graphs


def test_forward_graphs_gives_the_logits_of_forward(run):
    model, batch, logits, _ = run
    with torch.no_grad():
        assert torch.equal(logits, model(batch))
        assert torch.equal(model.forward_graphs(images())[0], model(images()))


def test_there_is_one_batch_per_block(run):
    graphs = run[3]
    assert len(graphs) == 4
    assert all(isinstance(graph, Batch) and graph.num_graphs == 2 for graph in graphs)
    assert all(graph.batch.bincount().tolist() == [64, 66] for graph in graphs)


def test_edges_are_sorted_stay_within_images_and_have_degree_k(run):
    for graph, k in zip(run[3], [3, 4, 5, 6], strict=True):
        source, target = graph.edge_index
        assert torch.all(target.diff() >= 0)
        assert torch.equal(graph.batch[source], graph.batch[target])
        assert torch.all(degree(target, graph.num_nodes) == k)
        assert graph.validate()


def test_places_are_pixels_inside_the_image(run):
    for graph in run[3]:
        for data, (height, width) in zip(graph.to_data_list(), [(32, 32), (22, 41)], strict=True):
            x, y = data.pos.T
            assert 0 < x.min() < x.max() < width
            assert 0 < y.min() < y.max() < height
            assert torch.all(x[:2].diff() > 0)  # along a row first
    assert torch.equal(run[3][0].to_data_list()[0].pos[:2], torch.tensor([[2.0, 2.0], [6.0, 2.0]]))


@pytest.mark.parametrize("size", [(32, 32), (35, 30)])
def test_places_of_patches_are_those_of_the_patch_graph(size):
    image = images(1, size)
    with torch.no_grad():
        _, graphs = create(stem="patch", k=4).forward_graphs(image)
    torch.testing.assert_close(graphs[0].pos, vig_pyg.PatchGraph(4, k=4)(image[0]).pos)


def test_graphs_come_apart_into_images(run):
    model, batch, _, graphs = run
    for index, data in enumerate(batch.to_data_list()):
        with torch.no_grad():
            _, alone = model.forward_graphs(Batch.from_data_list([Data(x=data.x, grid=data.grid)]))
        for graph, own in zip(graphs, alone, strict=True):
            part = graph.to_data_list()[index]
            torch.testing.assert_close(part.x, own.x)
            assert torch.equal(part.edge_index, own.edge_index)
            assert torch.equal(part.pos, own.pos)
            assert "pos_source" not in part


def test_the_edges_are_those_of_the_features_in_every_block(run):
    model, batch, _, graphs = run
    hidden = outputs(model, [g.fc1 for g in graphers(model)], batch)
    for x, graph, k in zip(hidden, graphs, [3, 4, 5, 6], strict=True):
        expected = vig_pyg.knn_graph(x, k, graph.batch, loop=True, cosine=True)
        assert torch.equal(graph.edge_index, expected.as_tensor())


def test_the_features_are_those_after_every_block(run):
    model, batch, _, graphs = run
    for graph, (x, _, _) in zip(graphs, outputs(model, model.blocks, batch), strict=True):
        torch.testing.assert_close(graph.x, x)
