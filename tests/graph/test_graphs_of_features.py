"""What holds of every graph that looks at features: alone as in a batch, in models, and with any operator."""

import pickle

import pytest
import timm
import torch
from torch_geometric.data import Batch, Data

from tests.kernels.clustered import normal
from vig_pyg.blocks import Grapher
from vig_pyg.graph import Edges, NodeLayout, PointLayout, build_graph
from vig_pyg.graph.edges import edge_list

GRAPHS = {
    "cluster": {},
    "threshold": {"threshold": 0.3},
    "learned": {"threshold": 0.3, "learned": True},
    "fuzzy": {"hyperedges": 8},
    "kmeans": {"hyperedges": 8, "method": "kmeans"},
}
NAMES = {"learned": "threshold", "fuzzy": "hypergraph", "kmeans": "hypergraph"}
OPERATORS = ["max_relative", "edge", "gin", "sage", "hypergraph", "gcn", "gat"]
WITHOUT_WEIGHTS = ("edge", "gat")
every_graph = pytest.mark.parametrize("graph", GRAPHS)


def name_of(graph):
    return NAMES.get(graph, graph)


def build(graph):
    return build_graph(name_of(graph), **GRAPHS[graph])


def create(name, graph, conv="max_relative", **options):
    torch.manual_seed(0)
    return timm.create_model(
        name, graph=name_of(graph), graph_options=GRAPHS[graph], conv=conv, num_classes=3, **options
    ).double()


def parts_of(found):
    """Return all that a graph returned, as tensors by name."""
    links = found if isinstance(found, Edges) else Edges(found)
    named = {name: value for name, value in links._asdict().items() if value is not None}
    return {name: edge_list(v) if name in ("adjacency", "members") else v.detach() for name, v in named.items()}


def joined(found, sizes):
    """Return what graphs returned one by one as if they had been a batch."""
    firsts = torch.tensor([0, *sizes]).cumsum(0)[:-1]
    sources = torch.tensor([0, *(len(each.get("sources", [])) for each in found)]).cumsum(0)[:-1]
    out = {}
    for name in found[0]:
        values = [each[name] for each in found]
        if name in ("adjacency", "members"):
            own = sources if "sources" in found[0] else firsts
            ends = torch.stack([own, firsts] if name == "adjacency" else [firsts, own], 1).unsqueeze(2)
            out[name] = torch.cat([value + end for value, end in zip(values, ends, strict=True)], 1)
        else:
            out[name] = torch.cat([v + (i if name == "source_batch" else 0) for i, v in enumerate(values)])
    return out


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_graph
def test_a_graph_is_the_same_alone_and_in_any_batch(graph, dtype):
    shapes = [(4, 6), (4, 6), (7, 3), (9, 9), (2, 2), (4, 6)]
    sizes = [height * width for height, width in shapes]
    images = list(normal(sum(sizes), 16).to(dtype).split(sizes))
    built, state = build(graph), torch.random.get_rng_state()
    for order in ([0, 1, 2, 3, 4, 5], [3, 5, 0, 2, 1, 4], [0, 1, 5]):
        x, counts = torch.cat([images[i] for i in order]), [sizes[i] for i in order]
        grid = NodeLayout.from_sizes([shapes[i] for i in order])
        for layout in (grid, PointLayout(grid.batch(), grid.pos())):
            alone = [parts_of(built(images[i], NodeLayout.from_sizes([shapes[i]]))) for i in order]
            expected, found = joined(alone, counts), parts_of(built(x, layout))
            assert found.keys() == expected.keys()
            for name, value in found.items():
                torch.testing.assert_close(value, expected[name], msg=lambda m, n=name: f"{n}: {m}")
    assert torch.equal(torch.random.get_rng_state(), state)


@every_graph
def test_nothing_changes_when_it_is_copied_or_called_again(graph):
    built, x = build(graph), normal(60, 8)
    first = parts_of(built(x, None))
    for other in (built, pickle.loads(pickle.dumps(built))):
        found = parts_of(other(x, None))
        assert all(torch.equal(found[name], value) for name, value in first.items())


@every_graph
def test_half_precision_and_autocast_choose_as_float32_does(graph):
    built, x = build(graph), normal(60, 8).bfloat16()
    expected = parts_of(built(x.float(), None))["adjacency"]
    with torch.autocast("cpu"):
        assert torch.equal(parts_of(built(x.float(), None))["adjacency"], expected)
    assert torch.equal(parts_of(built(x, None))["adjacency"], expected)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 0.0])
@every_graph
def test_nodes_without_a_direction_link_within_their_own_graph(graph, wrong):
    layout = PointLayout(torch.arange(2).repeat_interleave(torch.tensor([25, 15])))
    some, all_of = normal(40, 8), torch.full((40, 8), wrong, dtype=torch.double)
    some[3], some[30, 2] = wrong, wrong
    for x in (some, all_of):
        found = parts_of(build(graph)(x, layout))
        source, target = found["adjacency"]
        graph_of_source = found["source_batch"] if "source_batch" in found else layout.batch()
        assert torch.equal(graph_of_source[source], layout.batch()[target]) and target.bincount().min() >= 1


@pytest.mark.parametrize("conv", OPERATORS)
@pytest.mark.parametrize("name", ["vig_micro", "pvig_micro"])
@every_graph
def test_every_operator_runs_forward_and_backward_in_a_model(graph, name, conv):
    if graph == "learned" and conv in WITHOUT_WEIGHTS:
        pytest.skip("it takes no weights, and says so")
    model, images = create(name, graph, conv), normal(3, 3, 32, 32)
    logits, graphs = model.eval().forward_graphs(images)
    torch.testing.assert_close(torch.cat([model(image[None]) for image in images]), logits)
    for batch in graphs:
        degree = batch.edge_index[1].bincount(minlength=batch.num_nodes)
        assert degree.min() >= 1 and ("members" in batch) == (name_of(graph) == "hypergraph")
    model.train()(images).square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@every_graph
def test_nodes_without_a_grid_are_linked_in_a_model(graph):
    model = create("vig_micro", graph, stem="nodes", in_chans=5).eval()
    graphs = [Data(x=normal(n, 5, seed=n), pos=normal(n, 2, seed=n + 1)) for n in (30, 12, 70)]
    together = model(Batch.from_data_list(graphs))
    torch.testing.assert_close(together, torch.cat([model(Batch.from_data_list([each])) for each in graphs]))


@every_graph
def test_checkpointed_blocks_give_the_same_gradients(graph):
    images, grads = normal(2, 3, 32, 32), []
    for checkpointing in (False, True):
        model = create("pvig_micro", graph).train()
        model.set_grad_checkpointing(checkpointing)
        model(images).square().sum().backward()
        grads.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(grads[0], grads[1])


@every_graph
def test_to_export_a_model_is_refused(graph):
    with pytest.raises(ValueError, match="depends on the image, so it cannot be exported: take 'knn'"):
        torch.export.export(create("vig_micro", graph).eval(), (normal(1, 3, 32, 32),))


@every_graph
def test_a_compiled_grapher_gives_the_same(graph):
    layout, x = NodeLayout.uniform(2, 5, 6), normal(60, 8)
    grapher, found = Grapher(8, build(graph)).double(), []
    torch.compiler.reset()
    for call in (grapher, torch.compile(grapher, backend="eager")):
        grapher.zero_grad()
        out, _ = call(x, layout)
        out.square().sum().backward()
        found.append([out, *(parameter.grad for parameter in grapher.parameters())])
    torch.testing.assert_close(*found)
