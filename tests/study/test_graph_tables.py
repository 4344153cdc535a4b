"""Tables and charts of graphs, from numbers put in by hand."""

import pandas as pd
import pytest

from vig_pyg.study.graph_costs import BlockCost, GraphCost
from vig_pyg.study.graph_tables import blocks_frame, chart_blocks, chart_crossed, graphs_frame, is_crossed
from vig_pyg.study.studies import Line, Row
from vig_pyg.study.trials import Trial
from vig_pyg.tasks import ClassificationRecipe

PAIRS = [("edge", "knn"), ("edge", "axial"), ("gin", "knn")]  # the fourth was left out


def line(conv: str, graph: str, model: str = "vig_micro") -> Line:
    recipe = ClassificationRecipe(model=model, conv=conv, graph=graph)
    return Line(Row(f"{graph}, {conv}"), [Trial(recipe)], suffix=f", {conv}")


def test_counts_are_in_millions() -> None:
    found = graphs_frame([line("edge", "knn")], [GraphCost(9, 2e6, 5e5, 0.25, 0.5)])
    assert found.loc["knn, edge"].to_list() == [9, 2, 0.5, 0.25, 0.5]


def test_what_has_no_figures_says_why() -> None:
    cost = BlockCost(196, 9.0, 0.5, 0.25, 1.5)
    found = blocks_frame({(224, 224): {"a": cost, "b": cost}, (800, 1280): {"a": cost, "b": "too large"}})
    assert found.loc["a"].to_list()[:8] == [9, 0.5, 0.25, 1.5] * 2
    assert found.loc["b", "left out"] == "too large" and pd.isna(found.loc["b", "800×1280: passing (ms)"])
    assert "left out" not in blocks_frame({(224, 224): {"a": cost}})
    left, right = chart_blocks(found).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["a", "b"] and right.get_title() == "800×1280"
    assert left.lines[0].get_xdata() == pytest.approx([0.5, 0.5])


def test_only_several_operators_with_several_graphs_are_crossed() -> None:
    assert is_crossed([line(*pair) for pair in PAIRS])
    assert not is_crossed([line(*pair) for pair in PAIRS[:2]]) and not is_crossed([line(*pair) for pair in PAIRS[::2]])


def test_every_pair_is_in_its_place_and_what_is_missing_is_a_dash() -> None:
    lines = [line(*pair) for pair in PAIRS]
    values = {"accuracy (%)": [90.0, 91.0, 92.0], "ms per image": [1.0, 2.0, 3.0]}
    accuracy, speed, *more = chart_crossed(lines, pd.DataFrame(values, [each.row.label for each in lines])).axes
    assert not more and speed.get_title() == "vig_micro: ms per image"
    assert [label.get_text() for label in accuracy.get_yticklabels()] == ["edge", "gin"]
    assert [label.get_text() for label in accuracy.get_xticklabels()] == ["knn", "axial"]
    assert {text.get_position(): text.get_text() for text in accuracy.texts} == {
        (0, 0): "90",
        (1, 0): "91",
        (0, 1): "92",
        (1, 1): "–",
    }
    assert [text.get_text() for text in speed.texts] == ["1", "2", "3", "–"]
