"""The graph of windows, from its definition in words: bands of rows and columns, and a loop over nodes."""

import math

import pytest
import timm
import torch

from tests.graph.linked import neighbors
from vig_pyg.graph import NodeLayout, PointLayout, RelativePosition, WindowGraph, build_graph
from vig_pyg.graph.edges import edge_list

CHANNELS = 8


def features(layout, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(layout.num_nodes, CHANNELS, dtype=torch.double, generator=generator)


def built(*args, position=True, **options):
    return WindowGraph(*args, position=RelativePosition(CHANNELS, (4, 4)) if position else None, **options).double()


def closeness_of_places(apart):
    """The inner product of the embeddings of two places, by the rule for the cosine of a difference."""
    quarter = CHANNELS // 4
    return sum(math.cos(axis / 10000 ** (i / quarter)) for axis in apart for i in range(quarter)) / CHANNELS


def defined(x, height, width, k=9, dilation=1, window=7, adapt=False, block=0, position=True):
    """Return the neighbors of every node of one image, the nearest first.

    Cuts are before row ``shift``, ``shift + window``, ... and likewise before columns; a node may be linked to those
    that no cut separates from it.
    """
    sides = [min(window, side) for side in (height, width)]
    shifts = [window // 2 if block % 2 and window < side else 0 for side in (height, width)]
    places = sides[0] * sides[1]
    nodes = [(row, column) for row in range(height) for column in range(width)]
    unit = (x / x.norm(dim=1, keepdim=True)).tolist()
    cell = [tuple((at - shift) // side for at, shift, side in zip(n, shifts, sides, strict=True)) for n in nodes]

    def distance(i, j):
        apart = [a - b for a, b in zip(nodes[i], nodes[j], strict=True)]
        features_apart = sum((a - b) ** 2 for a, b in zip(unit[i], unit[j], strict=True))
        return features_apart - 2 * closeness_of_places(apart) * position

    found = []
    for i in range(len(nodes)):
        allowed = sorted((j for j in range(len(nodes)) if cell[j] == cell[i]), key=lambda j: distance(i, j))
        most = max(k * len(allowed) // places, 3) if adapt and block % 2 else k
        found.append(allowed[:: min(dilation, max(1, places // k))][: min(k, most)])
    return found


@pytest.mark.parametrize("block", [0, 1])
@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((14, 14), {}),
        ((14, 21), {"adapt": True}),
        ((16, 16), {"window": 8, "adapt": True}),
        ((7, 7), {"adapt": True}),
        ((5, 6), {}),
        ((1, 3), {}),
        ((9, 16), {"window": 7, "adapt": True}),
        ((7, 15), {"window": 7, "adapt": True}),
        ((13, 11), {"window": 5, "k": 4, "dilation": 2}),
        ((10, 9), {"window": 4, "k": 9, "dilation": 3, "adapt": True}),
        ((8, 7), {"window": 3, "k": 2, "position": False}),
        ((3, 4), {"window": 1, "k": 1}),
    ],
)
def test_the_edges_are_those_of_the_definition(size, options, block):
    layout = NodeLayout.uniform(1, *size)
    x = features(layout)
    edges = built(block=block, **options)(x, layout)
    expected = defined(x, *size, block=block, **options)
    assert edge_list(edges)[0].tolist() == [j for found in expected for j in found]
    assert edge_list(edges)[1].tolist() == [i for i, found in enumerate(expected) for _ in found]
    assert edges.get_csc()[0][0].diff().tolist() == [len(found) for found in expected]


def test_in_shifted_windows_wignet_shortens_the_lists_at_the_border():
    layout = NodeLayout.uniform(1, 16, 16)
    degree = edge_list(built(window=8, block=1, adapt=True)(features(layout), layout))[1].bincount().view(16, 16)
    assert degree[:4, :4].unique().tolist() == [3]  # 9·16 // 64 is 2
    assert degree[:4, 4:12].unique().tolist() == [4]  # 9·32 // 64
    assert degree[4:12, 4:12].unique().tolist() == [9]
    plain = edge_list(built(window=8, block=1)(features(layout), layout))[1].bincount()
    assert plain.unique().tolist() == [9]


def test_nodes_that_meet_because_of_the_roll_are_not_linked_however_alike():
    layout = NodeLayout.uniform(1, 8, 8)
    edges = built(4, window=4, block=1)(torch.ones(64, CHANNELS, dtype=torch.double), layout)
    row, column = edge_list(edges) // 8, edge_list(edges) % 8
    assert ((row[0] - row[1]).abs() < 4).all() and ((column[0] - column[1]).abs() < 4).all()
    assert neighbors(edges, 0) == [0, 1, 8, 9]  # the corner of two by two


@pytest.mark.parametrize("block", [0, 1])
def test_an_image_has_the_same_graph_alone_and_in_any_batch(block):
    sizes = [(9, 14), (9, 14), (7, 7), (5, 17)]
    layout, graph = NodeLayout.from_sizes(sizes), built(window=7, block=block, adapt=True)
    x = features(layout)
    source, target = edge_list(graph(x, layout))
    for start, end, size in zip(layout.ptr(), layout.ptr()[1:], sizes, strict=False):
        alone = edge_list(graph(x[start:end], NodeLayout.uniform(1, *size)))
        of_image = (target >= start) & (target < end)
        assert torch.equal(torch.stack([source, target])[:, of_image] - start, alone)


def test_large_windows_have_the_positions_of_a_table_without_one():
    layout = NodeLayout.uniform(1, 33, 2)
    x = features(layout)
    graph = built(9, window=33)
    assert graph.position.table is None
    assert edge_list(graph(x, layout))[0].tolist() == [j for f in defined(x, 33, 2, window=33) for j in f]


def test_every_second_block_of_a_stage_is_shifted():
    options = {"graph": "window", "graph_options": {"window": 4}, "k": 5}
    for name, shifts in (("vig_micro", [0, 2, 0, 2]), ("pvig_micro", [0, 0, 2, 0])):
        model = timm.create_model(name, **options).eval()
        assert [m.shift for m in model.modules() if isinstance(m, WindowGraph)] == shifts
        assert model(torch.randn(2, 3, 32, 40)).isfinite().all()  # where nodes are pooled, too


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
@torch.no_grad()
def test_models_with_windows_compile_into_one_graph_and_trace_and_export_for_any_number_of_images():
    torch.manual_seed(0)
    size = {"channels": (16, 32), "depths": (1, 2), "pools": (2, 1), "num_classes": 3}
    options = {"graph": "window", "graph_options": {"window": 5, "adapt": True}}
    model = timm.create_model("pvig_micro", **size, **options).double().eval()
    images = torch.randn(2, 3, 32, 40, dtype=torch.double)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(images), model(images), rtol=1e-5, atol=1e-6)
    exported = torch.export.export(model, (images,), dynamic_shapes=({0: torch.export.Dim("count", min=1, max=8)},))
    for again in (torch.jit.trace(model, images), exported.module()):
        for count in (1, 3):
            some = torch.randn(count, 3, 32, 40, dtype=torch.double)
            torch.testing.assert_close(again(some), model(some), rtol=1e-5, atol=1e-6)


def test_half_precision_gives_the_graph_of_float32():
    layout = NodeLayout.uniform(2, 8, 8)
    x, graph = features(layout).half(), WindowGraph(9, position=RelativePosition(CHANNELS, (8, 8)))
    assert torch.equal(edge_list(graph(x, layout)), edge_list(graph(x.float(), layout)))


def test_nodes_without_a_grid_and_more_neighbors_than_nodes_are_refused():
    with pytest.raises(TypeError, match="WindowGraph links places of a grid, and these nodes have none: take 'knn'"):
        WindowGraph()(torch.rand(5, 2), PointLayout(pos=torch.rand(5, 2)))
    with pytest.raises(ValueError, match="k=10 neighbors need at least 10 nodes, but a window of 3×3 has 9"):
        build_graph("window", 10, window=3)
    with pytest.raises(TypeError, match="position must be a RelativePosition or None, got 3"):
        WindowGraph(position=3)
    with pytest.raises(ValueError, match="the layout has 9 nodes, but x has shape"):
        WindowGraph()(torch.rand(8, 2), NodeLayout.uniform(1, 3, 3))
