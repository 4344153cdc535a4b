import pandas as pd
import pytest

from vig_pyg.study.baselines import BASELINES
from vig_pyg.study.measure import Cost
from vig_pyg.study.studies import Line, Row
from vig_pyg.study.tables import as_text, models_frame, study_frame, write_tables
from vig_pyg.study.trials import Result, Trial
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


def test_one_seed_has_no_spread() -> None:
    assert as_text(frame(1)).loc["c", "accuracy (%)"] == "50.00"


def test_files_hold_the_same_numbers(tmp_path) -> None:
    write_tables(tmp_path, "heads", frame())
    assert pd.read_csv(tmp_path / "heads.csv", index_col=0).equals(frame().rename_axis("Unnamed: 0"))
    markdown = (tmp_path / "heads.md").read_text().splitlines()
    assert [trial.strip() for trial in markdown[2].strip("|").split("|")] == ["a & b", *as_text(frame()).iloc[0]]
    latex = (tmp_path / "heads.tex").read_text()
    assert r"a \& b & 0.213 & 10.1 & 92.00 $\pm$ 2.83 & 2 & 0.512 & 11.7 & 73.9 \\" in latex


def test_published_accuracies_stand_beside_their_source() -> None:
    found = models_frame(BASELINES, {model.name: COST for model in BASELINES})
    assert found.loc["pvig_small", "published ImageNet top-1 (%)"] == 82.1
    assert all(found["source"]) and len(found) == 20
