import math

import pandas as pd
import pytest

from vig_pyg.study.cost import Cost
from vig_pyg.study.studies import Line, Row
from vig_pyg.study.tables import SPEED, as_text, claims, is_speed, paired_p, speed_of, study_frame, write_tables
from vig_pyg.study.trials import Result, Trial
from vig_pyg.tasks import GraphRecipe
from vig_pyg.train import Epoch, Recipe

COST = Cost(213_434, 10_080_256, 0.51234, 11.7)


def result(accuracy: float, last: float | None = None) -> Result:
    diversity = None if last is None else [1.0, last]
    epochs = [Epoch(loss, {"accuracy": share}, 0.1, 1.0, 0.0) for loss, share in ((1.0, 0.1), (0.5, accuracy))]
    return Result(epochs, diversity)


def frame(seeds: int = 2) -> pd.DataFrame:
    lines = [Line(Row("a & b", top1=73.9), [Trial(Recipe())]), Line(Row("c"), [Trial(Recipe())])]
    results = [[result(0.90), result(0.94)][:seeds], [result(0.5), result(0.5)][:seeds]]
    return study_frame(lines, results, [COST, COST])


def test_means_and_deviations_of_the_last_epoch() -> None:
    found = frame()
    assert found.loc["a & b", "accuracy (%)"] == pytest.approx(92)
    assert found.loc["a & b", "± (%)"] == pytest.approx(8**0.5)  # of 90 and 94
    assert "diversity, last layer" not in found and "paper: FLOPs (G)" not in found
    text = as_text(found)
    assert list(text.loc["a & b"]) == ["0.213", "10.1", "92.00 ± 2.83", "2", "0.512", "11.7", "73.9"]
    assert text.loc["c", "paper: ImageNet top-1 (%)"] == "–"


def test_times_are_per_what_the_task_has() -> None:
    trial = Trial(GraphRecipe(task="graphs"))
    found = study_frame([Line(Row("a"), [trial])], [[result(0.5)]], [COST])
    assert speed_of(trial) == "ms per graph" and found.loc["a", "ms per graph"] == COST.ms_per_image
    assert as_text(found).loc["a", "ms per graph"] == "0.512"
    assert is_speed("ms per graph") and is_speed(SPEED) and not is_speed("memory (MB)")
    assert SPEED in frame()


def test_one_seed_has_no_spread() -> None:
    assert as_text(frame(1)).loc["c", "accuracy (%)"] == "50.00"


def test_files_hold_the_same_numbers(tmp_path) -> None:
    write_tables(tmp_path, "heads", frame())
    assert pd.read_csv(tmp_path / "heads.csv", index_col=0).equals(frame().rename_axis("Unnamed: 0"))
    markdown = (tmp_path / "heads.md").read_text().splitlines()
    assert [trial.strip() for trial in markdown[2].strip("|").split("|")] == ["a & b", *as_text(frame()).iloc[0]]
    latex = (tmp_path / "heads.tex").read_text()
    assert r"a \& b & 0.213 & 10.1 & 92.00 $\pm$ 2.83 & 2 & 0.512 & 11.7 & 73.9 \\" in latex


def test_p_is_that_of_the_t_distribution() -> None:
    # Differences 1, 2, 3: t = 2 / (1 / √3) = 2√3 with 2 degrees of freedom, whose distribution has a closed form.
    t = 2 * math.sqrt(3)
    assert paired_p([1, 2, 3], [0, 0, 0]) == pytest.approx(1 - t / math.sqrt(t * t + 2))


def test_differences_that_are_all_the_same_prove_nothing() -> None:
    assert paired_p([1.5, 2.5, 3.5], [1, 2, 3]) == paired_p([1], [0]) == 1


def test_only_what_the_test_shows_is_claimed() -> None:
    values = {"a": [90.0, 91.0, 92.0], "b": [95.0, 96.01, 97.02], "c": [90.5, 90.8, 92.1]}
    found = claims(values, {"a": "a", "b": "a", "c": "a"})
    assert found[0].startswith("“b” beats “a” by 5.01 points") and len(found) == 2
    assert "No row differs from “a”" in claims({"a": values["a"], "c": values["c"]}, {"a": "a", "c": "a"})[0]
    assert "One seed" in claims({"a": [1.0], "b": [9.0]}, {"a": "a", "b": "a"})[0]


def test_nothing_is_said_where_there_is_nothing_to_compare_with() -> None:
    assert claims({"edge": [90.0, 91.0]}, {"edge": "edge"}) == claims({"edge": [90.0]}, {"edge": "edge"}) == []
