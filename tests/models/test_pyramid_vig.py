"""Pyramid ViG: its stages, its pooled sources and its keywords."""

import pytest
import timm
import torch
from torch_geometric.data import Batch
from torch_geometric.utils import degree

import vig_pyg
from vig_pyg.blocks import Block, Downsample, pool_nodes


def create(**options):
    torch.manual_seed(0)
    return timm.create_model("pvig_micro", **options).double().eval()


def images(count=2, size=(32, 32)):
    return torch.randn(count, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def graphers(model):
    return [block.grapher for block in model.blocks if isinstance(block, Block)]


def outputs(model, modules, x):
    """What modules return while the model works on ``x``."""
    kept = []
    hooks = [m.register_forward_hook(lambda _, __, output: kept.append(output)) for m in modules]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return kept


def test_the_constructor_and_timm_make_the_same_model():
    torch.manual_seed(0)
    model = vig_pyg.PyramidViG(32, num_classes=10, channels=(32, 64, 128), depths=(1, 2, 1), pools=(2, 1, 1), stride=2)
    assert torch.equal(model.double().eval()(images()), create()(images()))


def test_the_paper_s_numbers_are_the_defaults():
    with torch.device("meta"):
        model = timm.create_model("pvig_tiny")
    assert [g.graph.k for g in graphers(model)] == [9] * 12
    assert [g.graph.dilation for g in graphers(model)] == [1] * 4 + [2] * 4 + [3] * 4
    assert [g.pool for g in graphers(model)] == [4, 4, 2, 2] + [1] * 8
    with torch.device("meta"):
        deep = graphers(timm.create_model("pvig_base"))
    assert [g.graph.dilation for g in deep] == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [5] * 8


def test_stages_halve_the_grid_and_widen_the_nodes():
    model = create()
    layers = outputs(model, model.blocks, images())
    assert [(layout.sizes[0], x.size(1)) for x, layout, _ in layers] == [
        ((16, 16), 32),
        ((8, 8), 64),
        ((8, 8), 64),
        ((8, 8), 64),
        ((4, 4), 128),
        ((4, 4), 128),
    ]
    assert [isinstance(b, Downsample) for b in model.blocks] == [False, True, False, False, True, False]


@pytest.mark.parametrize("name", ["channels", "depths", "pools"])
def test_stages_must_have_one_entry_each(name):
    with pytest.raises(ValueError, match="one entry per stage"):
        create(**{name: (2, 2)})


WRONG = {
    "k of another length": ({"k": [9] * 3}, "k has 3 entries for 4 blocks"),
    "dilation of another length": ({"dilation": [1] * 6}, "dilation has 6 entries for 4 blocks"),
    "k zero": ({"k": 0}, "k must be at least 1, got 0"),
    "graph": ({"graph": "none"}, "no graph is called 'none'"),
    "stem": ({"stem": "x"}, "stem must be 'conv', 'patch' or 'nodes', got 'x'"),
    "readout": ({"readout": "max"}, "readout must be one of 'mean', 'accumulated', 'nodes', got 'max'"),
    "heads": ({"heads": 5}, "heads=5 must divide 64 input and 64 output channels"),
    "width": ({"channels": (30, 64, 128), "heads": 1}, "multiple of 4 channels, got 30"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_refused_in_a_sentence(case):
    options, sentence = WRONG[case]
    with pytest.raises(ValueError, match=sentence):
        create(**options)


OPTIONS = [
    {"grapher_fc": False},
    {"ffn": False},
    {"norm": "layer"},
    {"heads": 1},
    {"heads": 2},
    {"relative": False},
    {"graph": "static"},
    {"stem": "patch"},
    {"dilation": 2, "k": [3, 4, 5, 6], "stochastic": True},
    {"conv": "edge"},
    {"conv": "gin"},
    {"conv": "sage"},
    {"conv": "gat"},
    {"dropout": 0.1},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options)))
def test_every_choice_trains(options):
    model = create(**options).train()
    model(images(4)).square().mean().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_a_static_graph_is_shared_within_a_stage():
    with torch.no_grad():
        _, static = create(graph="static").forward_graphs(images())
        _, dynamic = create().forward_graphs(images())
    assert torch.equal(static[1].edge_index, static[2].edge_index)
    assert torch.equal(static[1].edge_index, dynamic[1].edge_index)
    assert not torch.equal(dynamic[1].edge_index, dynamic[2].edge_index)


def test_the_relative_position_draws_neighbors_nearer():
    x = images()
    distances = []
    for relative in (False, True):
        with torch.no_grad():
            graph = create(relative=relative).forward_graphs(x)[1][1]
        source, target = graph.edge_index
        distances.append((graph.pos[source] - graph.pos[target]).norm(dim=1).mean())
    assert distances[1] < distances[0]


def test_the_accumulated_readout_sums_over_the_last_stage():
    model = create(depths=(1, 1, 3), readout="accumulated")
    x = images()
    last_stage = outputs(model, list(model.blocks)[-4:], x)
    total = sum(pool_nodes(nodes, layout) for nodes, layout, _ in last_stage)
    torch.testing.assert_close(model(x), model.head(total))


# Graphs #############################################################################################

SIZES = [(32, 32), (27, 44)]


@pytest.fixture(scope="module")
def run():
    """A model, images of two sizes in a batch, and what ``forward_graphs`` returns for them."""
    model = create(k=[3, 4, 5, 6])
    batch = Batch.from_data_list([vig_pyg.image_data(images(1, size)[0]) for size in SIZES])
    with torch.no_grad():
        logits, graphs = model.forward_graphs(batch)
    return model, batch, logits, graphs


def test_forward_graphs_gives_the_logits_of_forward(run):
    model, batch, logits, graphs = run
    with torch.no_grad():
        assert torch.equal(logits, model(batch))
    assert len(graphs) == 4


def test_only_pooled_stages_have_places_of_sources(run):
    assert ["pos_source" in graph for graph in run[3]] == [True, False, False, False]


def test_edges_are_sorted_and_every_node_has_degree_k(run):
    for graph, k in zip(run[3], [3, 4, 5, 6], strict=True):
        source, target = graph.edge_index
        assert torch.all(target.diff() >= 0)
        assert torch.all(degree(target, graph.num_nodes) == k)
        assert source.max() < len(graph.pos_source if "pos_source" in graph else graph.pos)


def test_edges_stay_within_their_image(run):
    pooled, *others = run[3]
    sources = torch.tensor([8 * 8, 7 * 11])
    source_batch = torch.arange(2).repeat_interleave(sources)
    assert len(pooled.pos_source) == sources.sum()
    assert torch.equal(source_batch[pooled.edge_index[0]], pooled.batch[pooled.edge_index[1]])
    for graph in others:
        assert torch.equal(graph.batch[graph.edge_index[0]], graph.batch[graph.edge_index[1]])


def test_graphs_come_apart_into_images(run):
    model, batch, _, graphs = run
    for index, data in enumerate(batch.to_data_list()):
        with torch.no_grad():
            _, alone = model.forward_graphs(Batch.from_data_list([data]))
        for graph, own in zip(graphs, alone, strict=True):
            part = graph.to_data_list()[index]
            torch.testing.assert_close(part.x, own.x)
            assert torch.equal(part.edge_index, own.edge_index)
            assert torch.equal(part.pos, own.pos)
            assert ("pos_source" in part) == ("pos_source" in own)
            if "pos_source" in part:
                assert torch.equal(part.pos_source, own.pos_source)


def test_places_are_pixels_inside_the_image(run):
    for graph in run[3]:
        for data, (height, width) in zip(graph.to_data_list(), SIZES, strict=True):
            for places in [data.pos, data.pos_source] if "pos_source" in data else [data.pos]:
                assert places.min() > 0
                assert places[:, 0].max() < width
                assert places[:, 1].max() < height
    assert torch.equal(run[3][0].pos_source[:2], torch.tensor([[2.0, 2.0], [6.0, 2.0]]))


def test_the_first_edges_are_those_of_the_pooled_features():
    plain = create(k=[3, 4, 5, 6], relative=False)
    (h,) = outputs(plain, [graphers(plain)[0].fc1], images(1))
    with torch.no_grad():
        graph = plain.forward_graphs(images(1))[1][0]
    pooled = h.view(8, 2, 8, 2, 32).mean((1, 3)).view(64, 32)
    expected = vig_pyg.knn_graph(pooled, 3, y=h, cosine=True)
    assert torch.equal(graph.edge_index, expected.as_tensor())


def test_edges_of_patch_graphs_are_left_out_where_sources_are_pooled():
    batch = Batch.from_data_list([vig_pyg.PatchGraph(2, k=5)(images(1)[0])])
    model = create(stem="patch", graph="static")
    with torch.no_grad():
        _, graphs = model.forward_graphs(batch)
        _, expected = model.forward_graphs(images(1))
    for graph, other in zip(graphs, expected, strict=True):
        assert torch.equal(graph.edge_index, other.edge_index)
