"""The studies against the paper's tables, and the trials that they share."""

from dataclasses import replace

import pytest
import torch
from torch_geometric.data import Data

from vig_pyg.data.graph_sets import GraphData
from vig_pyg.graph import GridGraph, list_graphs
from vig_pyg.study.studies import ABLATIONS, OPERATORS, graphs, matching_width, operators, plan
from vig_pyg.tasks import Classification
from vig_pyg.train import build_model, read_recipe


@pytest.fixture(scope="module")
def recipe():
    return read_recipe("digits")


@pytest.fixture(scope="module")
def data(recipe):
    return Classification.load_data(recipe)


def test_figures_are_those_of_tables_6_to_9() -> None:
    table = {row.label: (row.parameters, row.flops, row.top1) for row in operators(OPERATORS).rows}
    assert table["edge"] == (7.2, 2.4, 74.3) and table["max_relative"] == (7.1, 1.3, 73.9)
    assert [row.top1 for row in ABLATIONS["neighbors"].rows] == [72.2, 73.4, 73.6, 73.6, 73.5, 73.3, 73.9]
    assert [row.flops for row in ABLATIONS["heads"].rows] == [1.6, 1.4, 1.3, 1.2, 1.2]


def test_the_default_setting_is_one_trial_in_all_studies(recipe, data) -> None:
    studies = (operators(OPERATORS), graphs(("knn", "grid")), *ABLATIONS.values())
    plans = [plan(study, recipe, ["max_relative"], 3, data) for study in studies]
    defaults = [line.trials[0].key for lines in plans for line in lines if line.row.label == line.baseline]
    assert len(defaults) == 6 and len(set(defaults[:5])) == 1  # diversity has more blocks
    every = [trial.key for lines in plans for line in lines for trial in line.trials]
    assert len(every) == 72 and len(set(every)) == 60


def test_widths_bring_the_cost_near(recipe, data) -> None:
    lines = plan(ABLATIONS["modules"], recipe, ["max_relative"], 3, data)
    for line in lines[:3]:
        width = line.trials[0].recipe.model_options["channels"]
        target = 9_972_736  # of the full block, for one channel and ten classes
        gaps = [abs(macs - target) for macs in line.tried.values()]
        assert abs(line.tried[width] - target) == min(gaps) < 0.07 * target


def test_rising_neighbors_rise(recipe, data) -> None:
    trials = {
        line.row.label: line.trials[0] for line in plan(ABLATIONS["neighbors"], recipe, ["max_relative"], 3, data)
    }
    built = [block.grapher.graph.k for block in trials["K = 9 to 18"].build(data).blocks]
    assert built == [9, 12, 15, 18]
    full = replace(recipe, model="vig_tiny", image_size=96)
    data = Classification.load_data(full)
    plans = [plan(ABLATIONS[name], full, ["max_relative"], 1, data) for name in ("neighbors", "heads")]
    rising, own = plans[0][-1].trials[0], plans[1][2].trials[0]
    assert rising.key == own.key  # the paper's model has them


def test_with_several_operators_every_row_is_repeated_and_the_papers_figures_stay_with_its_own(recipe, data) -> None:
    lines = plan(ABLATIONS["heads"], recipe, ["max_relative", "edge"], 1, data)
    assert [line.row.label for line in lines][::5] == ["1 head, max_relative", "1 head, edge"]
    assert lines[0].row.top1 == 74.2 and lines[5].row.top1 is None
    assert lines[5].baseline == "4 heads, edge" and lines[5].trials[0].recipe.conv == "edge"


def test_the_default_setting_is_the_models_own(recipe, data) -> None:
    trial = plan(ABLATIONS["heads"], recipe, ["max_relative"], 3, data)[2].trials[0]
    assert str(trial.build(data)) == str(build_model(recipe, 10, 1))


def test_the_edges_of_a_planned_graph_are_those_to_train_on(recipe, data) -> None:
    lines = plan(graphs(), recipe, ["graph"], 1, data)
    assert {line.row.options["graph"] for line in lines} == set(list_graphs())
    for line in lines:
        assert line.trials[0].build(data).eval()(line.trials[0].sample(data, 1)).shape == (1, 10)


def test_the_graph_that_is_asked_for_is_in_all_rows_and_in_their_recipes(recipe, data) -> None:
    asked = replace(recipe, graph="random", graph_options={"seed": 3})
    for study in (operators(OPERATORS), ABLATIONS["modules"], ABLATIONS["heads"]):
        for line in plan(study, asked, ["max_relative"], 1, data):
            kept = line.trials[0].recipe
            assert (kept.graph, kept.graph_options) == ("random", {"seed": 3}) and "graph" not in kept.model_options
            assert line.trials[0].build(data).blocks[0].grapher.graph.seed == 3
    for asked in (replace(recipe, graph="grid"), replace(recipe, model_options={"graph": "grid"})):
        with pytest.raises(ValueError, match="the study of graphs chooses the graph itself: leave out 'grid'"):
            plan(graphs(), asked, ["max_relative"], 1, data)


def test_graphs_are_studied_in_a_model_that_pools_too(recipe, data) -> None:
    lines = plan(graphs(), replace(recipe, model="pvig_micro"), ["max_relative"], 1, data)
    found = {line.row.label: line.trials[0].build(data) for line in lines}
    assert type(found["grid"].blocks[0].grapher.graph) is GridGraph
    assert [found[name].blocks[0].grapher.graph.stochastic for name in ("knn", "knn dilated", "knn drawn")] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(("target", "width"), [(1, 4), (12 * 12, 12), (13 * 13, 12), (15 * 15, 16), (10**6, 40)])
def test_the_nearest_width_of_all(target: int, width: int) -> None:
    widths = range(4, 44, 4)
    found, tried = matching_width(lambda w: w * w, target, widths)
    assert found == width == min(widths, key=lambda w: abs(w * w - target))
    assert tried[found] == found**2 and len(tried) <= 5


def test_of_nodes_without_a_grid_only_graphs_that_need_none_are_studied(recipe) -> None:
    def cloud(y: int) -> Data:
        return Data(pos=torch.rand(30, 2), y=torch.tensor([y]))

    few = GraphData("clouds", [cloud(i % 2) for i in range(48)], [cloud(0)], ["a", "b"], 2, 2)
    on_nodes = read_recipe("points", ["data=shapes", "batch=24", "device_batch=24"])
    lines = plan(graphs(("knn", "grid", "greedy", "random")), on_nodes, ["max_relative"], 1, few)
    assert [bool(line.trials) for line in lines] == [True, False, False, False]
    assert all("links places of a grid" in line.refused for line in lines[1:])
    with pytest.raises(ValueError, match="nothing can be compared: GridGraph links places of a grid"):
        plan(graphs(("grid", "random")), on_nodes, ["max_relative"], 1, few)


def test_what_an_operator_cannot_take_is_left_out_with_its_reason_and_an_error_elsewhere(recipe, data) -> None:
    lines = plan(graphs(("knn", "gated")), recipe, ["max_relative", "gat"], 2, data)
    left = {line.row.label: line.refused for line in lines if not line.trials}
    assert (
        list(left) == ["gated, gat"]
        and "gives its edges edge_weight, but the operator takes none" in left["gated, gat"]
    )
    assert [line.baseline for line in lines] == ["knn, max_relative"] * 2 + ["knn, gat"] * 2
    with pytest.raises(TypeError, match="the operator takes none"):
        plan(ABLATIONS["heads"], replace(recipe, graph="gated"), ["gat"], 1, data)


def test_labels_name_the_model_where_there_are_several(recipe, data) -> None:
    (line,) = plan(graphs(("axial",)), recipe, ["gin"], 1, data, "vig_micro")
    assert (line.row.label, line.baseline, line.suffix) == ("axial, vig_micro", "axial, vig_micro", ", vig_micro")
