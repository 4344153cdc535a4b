import torch
from matplotlib.figure import Figure
from torch_geometric.data import Data

from vig_pyg.graph import ImageGraph
from vig_pyg.study import draw_neighbours
from vig_pyg.study.pictures import draw_curves


def centres(axes) -> list[tuple[float, float]]:
    return [(p.get_x() + p.get_width() / 2, p.get_y() + p.get_height() / 2) for p in axes.patches]


def test_squares_lie_on_the_neighbours_and_the_star_on_the_centre() -> None:
    axes = Figure().subplots()
    pos = torch.tensor([[2.0, 2.0], [6.0, 2.0], [2.0, 6.0], [6.0, 6.0]])
    graph = Data(pos=pos, edge_index=torch.tensor([[0, 3, 1], [0, 0, 2]]))
    draw_neighbours(axes, torch.rand(3, 8, 8), graph, [0], patch=4)
    assert sorted(centres(axes)) == [(1.5, 1.5), (5.5, 5.5)]
    assert axes.lines[0].get_xydata().tolist() == [[1.5, 1.5]]


def test_neighbours_of_a_pooled_graph_lie_at_the_sources() -> None:
    axes = Figure().subplots()
    graph = ImageGraph(
        pos=torch.tensor([[2.0, 2.0]]),
        pos_source=torch.tensor([[0.5, 0.5], [4.5, 6.5]]),
        edge_index=torch.tensor([[1], [0]]),
    )
    draw_neighbours(axes, torch.rand(1, 8, 8), graph, [0], patch=2)
    assert centres(axes) == [(4.0, 6.0)]


def test_curves_show_the_mean_over_runs() -> None:
    axes = Figure().subplots()
    draw_curves(axes, {"a": [[1.0, 3.0], [3.0, 5.0]]}, "loss")
    assert axes.lines[0].get_ydata().tolist() == [2.0, 4.0]
