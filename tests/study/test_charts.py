from dataclasses import replace

import pytest
import torch

from tests.study.test_run import diverse
from tests.study.test_tables import result
from vig_pyg.graph import ImageGraph
from vig_pyg.study.charts import chart_curves, chart_diversity, chart_graphs
from vig_pyg.study.studies import Line, Row
from vig_pyg.study.trials import Result, Trial
from vig_pyg.tasks import Classification
from vig_pyg.train import Epoch, Recipe, read_recipe


def test_every_line_of_the_chart_is_drawn_and_looks_its_own() -> None:
    lines, results = zip(*(diverse(f"{place}", [1.0, 2.0]) for place in range(11)), strict=True)
    (axes,) = chart_diversity(lines, results).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [str(place) for place in range(11)]
    assert len({(line.get_color(), line.get_marker()) for line in axes.lines}) == 11


def test_curves_are_means_over_seeds() -> None:
    runs = [
        [Epoch(loss, {"accuracy": 1 - loss}, 0.1, 1.0, 0.0) for loss in losses] for losses in ([0.3, 0.1], [0.5, 0.2])
    ]
    line = Line(Row("a"), [Trial(Recipe())])
    accuracy, loss = chart_curves([line], [[Result(epochs, None) for epochs in runs]]).axes
    assert accuracy.lines[0].get_ydata() == pytest.approx([60, 85])
    assert loss.lines[0].get_ydata() == pytest.approx([0.4, 0.15])


def test_many_lines_have_a_panel_each() -> None:
    recipe = read_recipe("digits")
    pos = torch.tensor([[1.0, 1.0], [3.0, 1.0], [1.0, 3.0], [3.0, 3.0]])
    graph = ImageGraph(pos=pos, edge_index=torch.tensor([[0, 1, 2], [1, 1, 3]]), grid=torch.tensor([[2, 2]]))
    lines = [Line(Row(str(place)), [Trial(recipe)]) for place in range(9)]
    found = [[replace(result(0.5), graphs=[graph] * 2)]] * 9
    axes = chart_graphs(lines, found, Classification.load_data(recipe)).axes
    assert [each.get_title() for each in axes] == [f"{place}\n0.75 edges per node" for place in range(9)] + [""]
    (square,) = axes[0].patches  # of node 3; node 0 has no neighbor
    assert tuple(square.get_center()) == (1.0, 3.0)
    assert len(chart_graphs(lines[:8], found[:8], Classification.load_data(recipe)).axes) == 8 * 3


def test_a_row_of_graphs_per_line_shows_the_image_and_up_to_four_blocks() -> None:
    recipe = read_recipe("digits")
    pos = torch.tensor([[1.0, 1.0], [3.0, 1.0], [1.0, 3.0], [3.0, 3.0]])
    edges = torch.tensor([[0, 1, 2, 3], [0, 1, 2, 3]])
    graph = ImageGraph(pos=pos, edge_index=edges, grid=torch.tensor([[2, 2]]))
    lines = [Line(Row(label), [Trial(recipe)]) for label in ("a", "b")]
    data = Classification.load_data(recipe)
    axes = chart_graphs(lines, [[replace(result(0.5), graphs=[graph] * 12)]] * 2, data).axes
    titles = [each.get_title() for each in axes]
    assert titles[::5] == ["a held-out image\na", "a held-out image\nb"] and len(axes) == 10
    assert [title.split("\n")[0] for title in titles[1:5]] == ["block 1", "block 5", "block 8", "block 12"]
    shown = torch.from_numpy(axes[0].images[0].get_array()).squeeze()
    assert torch.allclose(shown, data.test.images[0, 0] / 2 + 0.5, atol=1e-6)
