import timm
import torch
from matplotlib.figure import Figure
from torch_geometric.data import Data

from vig_pyg.graph import ImageGraph
from vig_pyg.study import draw_neighbors
from vig_pyg.study.pictures import draw_curves, draw_views
from vig_pyg.study.views import view


def centers(axes) -> list[tuple[float, float]]:
    return [(p.get_x() + p.get_width() / 2, p.get_y() + p.get_height() / 2) for p in axes.patches]


def sizes(axes) -> list[tuple[float, float]]:
    return [(p.get_width(), p.get_height()) for p in axes.patches]


def test_squares_lie_on_the_neighbors_and_the_star_on_the_center() -> None:
    axes = Figure().subplots()
    pos = torch.tensor([[2.0, 2.0], [6.0, 2.0], [2.0, 6.0], [6.0, 6.0]])
    graph = Data(pos=pos, edge_index=torch.tensor([[0, 3, 1], [0, 0, 2]]))
    draw_neighbors(axes, torch.rand(3, 8, 8), graph, [0])
    assert sorted(centers(axes)) == [(2.0, 2.0), (6.0, 6.0)]
    assert set(sizes(axes)) == {(4.0, 4.0)}
    assert axes.lines[0].get_xydata().tolist() == [[2.0, 2.0]]
    assert axes.images[0].get_extent() == [0, 8, 8, 0]


def test_neighbors_of_a_pooled_graph_lie_at_the_sources_and_are_as_large_as_their_windows() -> None:
    axes = Figure().subplots()
    graph = ImageGraph(
        pos=torch.tensor([[1.0, 1.0]]),
        pos_source=torch.tensor([[2.0, 4.0], [6.0, 4.0]]),
        edge_index=torch.tensor([[1], [0]]),
    )
    draw_neighbors(axes, torch.rand(1, 8, 8), graph, [0])
    assert centers(axes) == [(6.0, 4.0)]
    assert sizes(axes) == [(4.0, 8.0)]


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


def test_curves_show_the_mean_over_runs() -> None:
    axes = Figure().subplots()
    draw_curves(axes, {"a": [[1.0, 3.0], [3.0, 5.0]]}, "loss")
    assert axes.lines[0].get_ydata().tolist() == [2.0, 4.0]
