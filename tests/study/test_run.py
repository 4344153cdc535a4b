"""What a study's report says and shows, against numbers put in by hand."""

import numpy as np
import pandas as pd
from scipy.stats import t

from tests.study.test_tables import result
from vig_pyg.study.run import Finding, _diversity_claims, _shown
from vig_pyg.study.studies import Line, Row
from vig_pyg.study.tables import MACS
from vig_pyg.study.trials import Result, Trial
from vig_pyg.train import Recipe


def diverse(label: str, values: list[float], baseline: str = "ViG") -> tuple[Line, list[Result]]:
    return Line(Row(label), [Trial(Recipe())], baseline=baseline), [result(0.5, value) for value in values]


def said(vig: list[float], resgcn: list[float]) -> list[str]:
    lines, results = zip(diverse("ViG", vig), diverse("ResGCN", resgcn), strict=True)
    return _diversity_claims(lines, results)


def test_one_seed_claims_nothing_about_diversity() -> None:
    assert said([60.0], [5.0]) == ["One seed: no difference can be told from chance, so none is claimed."]


def test_a_difference_of_diversities_that_the_test_shows_is_claimed_as_a_ratio() -> None:
    vig, resgcn = [60.0, 66.0, 69.0], [5.0, 7.0, 5.5]
    gaps = np.subtract(vig, resgcn)
    p = 2 * t.sf(gaps.mean() / (gaps.std(ddof=1) / 3**0.5), 2)
    first, test = said(vig, resgcn)
    assert first == f"“ViG” is 11.1 times as diverse after the last layer as “ResGCN” (p = {p:.3f})."
    assert "paired t tests over 3 seeds" in test


def test_a_ratio_below_the_expected_one_is_said() -> None:
    assert said([6.0, 7.1, 8.0], [5.0, 6.0, 6.9])[-1].startswith("A factor of at least 5 was expected")


def test_a_ratio_is_not_claimed_where_chance_explains_it() -> None:
    sentence, *_ = said([60.0, 5.0, 20.0], [5.0, 60.0, 21.0])
    assert "times" not in sentence and sentence.startswith("No row differs from “ViG”")


def test_the_report_shows_every_width_that_was_tried(tmp_path) -> None:
    tried = {4: 1_000_000, 48: 9_000_000, 192: 90_000_000}
    lines = [Line(Row("alone"), [], tried, "full", 48), Line(Row("full"), [], baseline="full")]
    frame = pd.DataFrame({MACS: [9.0, 10.0]}, index=["alone", "full"])
    (search,) = _shown(tmp_path, Finding("modules", "", "", "", frame, [], {}, lines))["searches"]
    assert search["tried"] == [(4, "1.00", False), (48, "9.00", True), (192, "90.00", False)]
