import pytest
import timm
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch_geometric.data import Data

from vig_pyg.graph import ImageGraph, knn_graph
from vig_pyg.study import draw_neighbors, neighbors
from vig_pyg.study.charts import draw_views
from vig_pyg.study.page import graph_page
from vig_pyg.study.views import neighbor_graphs, node_at, place_of, view


def micro(name: str = "vig_micro", **options):
    torch.manual_seed(0)
    return timm.create_model(name, **options).eval()


@pytest.mark.parametrize("size", [(32, 32), (40, 48)])
@pytest.mark.parametrize("name", ["vig_micro", "pvig_micro"])
def test_edges_and_places_are_those_of_forward_graphs(name, size):
    model, image = micro(name), torch.randn(3, *size)
    with torch.no_grad():
        _, graphs = model.forward_graphs(image[None])
    for block, expected in enumerate(graphs, start=1):
        found = neighbors(model, image, block)
        for key in ("x", "pos", "edge_index", "grid", *(["pos_source"] if "pos_source" in expected[0] else [])):
            assert torch.equal(found[key], expected[0][key])
        assert found.validate() if "pos_source" not in found else found.edge_index[0].max() < len(found.pos_source)


def test_places_count_pixels_and_nodes_count_row_by_row():
    graph = neighbors(micro(), torch.randn(3, 40, 48), 1)
    assert graph.grid.tolist() == [[10, 12]]
    assert graph.pos[12 * 3 + 5].tolist() == [4 * 5.5, 4 * 3.5]


def test_distances_are_those_that_neighbors_are_chosen_by():
    model, image = micro(dilation=1, k=9), torch.randn(3, 32, 32)
    graph = neighbors(model, image, 2)
    with torch.no_grad():
        h = F.normalize(model.blocks[1].grapher.fc1(neighbors(model, image, 1).x), dim=1)
    nearest, who = torch.cdist(h.double(), h.double()).sort(dim=1)
    assert torch.allclose(graph.edge_attr.view(64, 9).double(), nearest[:, :9], atol=1e-3)
    assert torch.equal(graph.edge_index[0].view(64, 9), who[:, :9])
    assert torch.equal(graph.edge_index, knn_graph(h, 9, loop=True).as_tensor())


def test_distances_of_a_pooled_graph_are_between_windows_and_nodes():
    model, image = micro("pvig_micro"), torch.randn(3, 32, 32)
    inputs = []
    model.blocks[0].grapher.conv.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    graph = neighbors(model, image, 1)
    windows, nodes = inputs[0]
    assert (len(windows), len(nodes), len(graph.pos_source)) == (64, 256, 64)
    for edge in (0, 100, 2000):
        source, target = graph.edge_index[:, edge]
        cosine = F.cosine_similarity(windows[source], nodes[target], dim=0)
        assert graph.edge_attr[edge].item() == pytest.approx(float((2 - 2 * cosine).sqrt()), abs=1e-4)


def test_operators_that_are_completed_have_distances_too():
    graph = neighbors(micro(conv="gat"), torch.randn(3, 32, 32), 4)
    assert graph.edge_attr.shape == (graph.num_edges, 1)
    assert 0 <= graph.edge_attr.min() <= graph.edge_attr.max() <= 2


def test_looking_changes_nothing():
    model = micro().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    neighbors(model, torch.randn(3, 32, 32), 1)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(block.grapher.conv._forward_pre_hooks for block in model.blocks)


@pytest.mark.parametrize("block", [0, 5, -1])
def test_a_block_that_is_not_there_is_refused(block):
    with pytest.raises(ValueError, match=f"there is no block {block}: this model's blocks are 1 to 4"):
        neighbors(micro(), torch.randn(3, 32, 32), block)


def test_a_place_is_the_same_in_every_grid():
    graphs = neighbor_graphs(micro("pvig_micro"), torch.randn(3, 32, 32))
    place = place_of(graphs[0], 9, 14)  # of 16 × 16, and so in row 4 of 8 and in row 2 of 4
    assert [node_at(graph, place) for graph in graphs] == [9 * 16 + 14, 4 * 8 + 7, 4 * 8 + 7, 2 * 4 + 3]
    with pytest.raises(ValueError, match="no node 16,0: rows go from 0 to 15 and columns from 0 to 15"):
        place_of(graphs[0], 16, 0)


@pytest.mark.parametrize("in_chans", [1, 3])
def test_a_view_shows_the_image_without_its_normalization(in_chans):
    image = torch.rand(in_chans, 32, 32)
    seen = view(micro(in_chans=in_chans), (image - 0.5) / 0.5, "model", "image.png")
    assert seen.image.shape == image.shape and torch.allclose(seen.image, image, atol=1e-6)
    assert len(seen.graphs) == 4


def centers(axes) -> list[tuple[float, float]]:
    return [(p.get_x() + p.get_width() / 2, p.get_y() + p.get_height() / 2) for p in axes.patches]


def sizes(axes) -> list[tuple[float, float]]:
    return [(p.get_width(), p.get_height()) for p in axes.patches]


def test_squares_are_on_the_neighbors_and_the_star_on_the_center() -> None:
    axes = Figure().subplots()
    pos = torch.tensor([[2.0, 2.0], [6.0, 2.0], [2.0, 6.0], [6.0, 6.0]])
    graph = Data(pos=pos, edge_index=torch.tensor([[0, 3, 1], [0, 0, 2]]))
    draw_neighbors(axes, torch.rand(3, 8, 8), graph, [0])
    assert sorted(centers(axes)) == [(2.0, 2.0), (6.0, 6.0)]
    assert set(sizes(axes)) == {(4.0, 4.0)}
    assert axes.lines[0].get_xydata().tolist() == [[2.0, 2.0]]
    assert axes.images[0].get_extent() == [0, 8, 8, 0]


def test_neighbors_of_a_pooled_graph_are_at_the_sources_and_are_as_large_as_their_windows() -> None:
    axes = Figure().subplots()
    graph = ImageGraph(
        pos=torch.tensor([[1.0, 1.0]]),
        pos_source=torch.tensor([[2.0, 4.0], [6.0, 4.0]]),
        edge_index=torch.tensor([[1], [0]]),
    )
    draw_neighbors(axes, torch.rand(1, 8, 8), graph, [0])
    assert centers(axes) == [(6.0, 4.0)]
    assert sizes(axes) == [(4.0, 8.0)]


def test_sources_that_are_no_grid_are_as_large_as_a_patch() -> None:
    axes = Figure().subplots()
    pos = torch.tensor([[2.0, 2.0], [6.0, 2.0], [2.0, 6.0], [6.0, 6.0]])
    graph = ImageGraph(pos=pos, pos_source=torch.tensor([[1.0, 5.0], [7.0, 3.0]]), edge_index=torch.tensor([[1], [0]]))
    draw_neighbors(axes, torch.rand(1, 8, 8), graph, [0])
    assert centers(axes) == [(7.0, 3.0)] and sizes(axes) == [(4.0, 4.0)]


def test_weights_are_opacities_beside_the_largest_of_the_node() -> None:
    axes = Figure().subplots()
    pos = torch.tensor([[2.0, 2.0], [6.0, 2.0], [2.0, 6.0], [6.0, 6.0]])
    weight = torch.tensor([0.1, 0.4, 0.0, 9.0])
    graph = ImageGraph(pos=pos, edge_index=torch.tensor([[0, 3, 1, 1], [0, 0, 0, 2]]), edge_weight=weight)
    draw_neighbors(axes, torch.rand(3, 8, 8), graph, [0])
    assert centers(axes) == [(2.0, 2.0), (6.0, 6.0), (6.0, 2.0)]
    assert [square.get_alpha() for square in axes.patches] == pytest.approx([0.15, 0.6, 0])


def test_hyperedges_are_regions_of_their_nodes() -> None:
    axes = Figure().subplots()
    graph = ImageGraph(
        pos=torch.tensor([[2.0, 2.0], [6.0, 2.0], [2.0, 6.0], [6.0, 6.0]]),
        pos_source=torch.tensor([[4.0, 2.0], [2.0, 4.0], [6.0, 6.0]]),
        edge_index=torch.tensor([[0, 1, 0, 1, 2], [0, 0, 1, 2, 3]]),
        members=torch.tensor([[0, 1, 0, 2, 3], [0, 0, 1, 1, 2]]),
    )
    draw_neighbors(axes, torch.rand(3, 8, 8), graph, [0, 3])
    assert centers(axes) == [(2.0, 2.0), (6.0, 2.0), (2.0, 6.0), (6.0, 6.0)]
    assert [square.get_alpha() for square in axes.patches] == pytest.approx([0.6, 0.3, 0.3, 0.6])  # 0 is in both
    assert sizes(axes)[0] == (4.0, 4.0)


@pytest.mark.parametrize("name", ["vig_micro", "pvig_micro"])
@pytest.mark.parametrize("graph", ["hypergraph", "threshold", "cluster"])
def test_graphs_of_varying_degree_are_drawn_and_make_a_page(name, graph) -> None:
    seen = view(micro(name, graph=graph), torch.randn(3, 32, 32), name, "noise")
    figure = draw_views([seen], [1, 4], [(0.3, 0.3)])
    assert len(figure.axes[1].patches) >= 1 and len(graph_page([seen])) > 1000


def test_a_figure_has_a_row_per_view_with_the_image_and_the_blocks() -> None:
    torch.manual_seed(0)
    model = timm.create_model("pvig_micro").eval()
    views = [view(model, torch.randn(3, 32, 32), "pvig_micro", name) for name in ("a.png", "b.png")]
    figure = draw_views(views, [1, 4], [(0.3, 0.3), (0.7, 0.6)])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "a.png\npvig_micro" and titles[3] == "b.png\npvig_micro"
    assert titles[1:3] == ["block 1\n16×16 nodes", "block 4\n4×4 nodes"]
    for axes, seen, block in zip(
        (figure.axes[i] for i in (1, 2, 4, 5)), (views[0],) * 2 + (views[1],) * 2, (1, 4, 1, 4), strict=True
    ):
        graph = seen.graphs[block - 1]
        sources = graph.pos_source if block == 1 else graph.pos
        nodes = [4 * 16 + 4, 11 * 16 + 9] if block == 1 else [1 * 4 + 1, 2 * 4 + 2]
        expected = [sources[graph.edge_index[0][graph.edge_index[1] == node]] for node in nodes]
        assert torch.allclose(torch.tensor(centers(axes)), torch.cat(expected), atol=1e-4)
