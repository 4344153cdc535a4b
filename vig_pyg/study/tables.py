"""Tables of a study: numbers as a data frame, and as Markdown, CSV and LaTeX for papers and talks."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vig_pyg.files import write_whole
from vig_pyg.machine import describe_machine
from vig_pyg.study.baselines import Baseline
from vig_pyg.study.cost import Cost
from vig_pyg.study.studies import Line
from vig_pyg.study.trials import Result, Trial
from vig_pyg.tasks import get_task

ACCURACY, SPREAD, TOP1 = "accuracy (%)", "± (%)", "paper: ImageNet top-1 (%)"
DIVERSITY, DIVERSITY_SPREAD = "diversity, last layer", "± diversity"
PARAMETERS, MACS, GMACS = "parameters (M)", "MACs (M)", "GMACs"
SPEED, MEMORY = "ms per image", "memory (MB)"  # of models of images; else speed_of
PAPER_PARAMETERS, PAPER_FLOPS = "paper: parameters (M)", "paper: FLOPs (G)"
PUBLISHED = "published ImageNet top-1 (%)"
EDGES, LEFT_OUT = "edges per node", "left out"
CHOOSING, PASSING = "choosing (ms)", "passing (ms)"
CHOOSING_MACS, PASSING_MACS = "choosing, MACs (M)", "passing, MACs (M)"

THREE_DIGITS = (PARAMETERS, MACS, CHOOSING, PASSING, CHOOSING_MACS, PASSING_MACS)
LEVEL = 0.05  # of significance

DIGITS = {  # after the point
    **dict.fromkeys((GMACS, ACCURACY, SPREAD), 2),
    **dict.fromkeys((EDGES, MEMORY, TOP1, PAPER_PARAMETERS, PAPER_FLOPS, PUBLISHED), 1),
    **dict.fromkeys((DIVERSITY, DIVERSITY_SPREAD, "width"), 0),
}


def study_frame(lines: Sequence[Line], results: Sequence[Sequence[Result]], costs: Sequence[Cost]) -> pd.DataFrame:
    """Return the numbers of a study: a row per line, from what its seeds gave and what its model costs.

    Accuracies and diversities are means over seeds, ± their standard deviation (none for one seed). Columns without
    any number are left out.
    """
    rows = []
    for line, found, cost in zip(lines, results, costs, strict=True):
        accuracy = pd.Series([100 * result.accuracy for result in found])
        diversity = pd.Series([result.diversity[-1] for result in found if result.diversity], dtype=float)
        rows.append(
            {
                "": line.row.label,
                "width": line.width,
                PARAMETERS: cost.parameters / 1e6,
                MACS: cost.macs / 1e6,
                ACCURACY: accuracy.mean(),
                SPREAD: accuracy.std(),
                "seeds": len(found),
                DIVERSITY: diversity.mean(),
                DIVERSITY_SPREAD: diversity.std(),
                speed_of(line.untrained): cost.ms_per_image,
                MEMORY: cost.megabytes,
                TOP1: line.row.top1,
                PAPER_PARAMETERS: line.row.parameters,
                PAPER_FLOPS: line.row.flops,
            }
        )
    return pd.DataFrame(rows).set_index("").dropna(axis="columns", how="all")


def speed_of(trial: Trial) -> str:
    """Return the title of the column of times: "ms per image", or per graph."""
    return f"ms per {get_task(trial.recipe.task).noun}"


def is_speed(name: str) -> bool:
    """Return whether a column holds times."""
    return name.startswith("ms per ")


def models_frame(baselines: Sequence[Baseline], costs: Mapping[str, Cost]) -> pd.DataFrame:
    """Return what published models cost here, and their published accuracy with its source, if it is known."""
    rows = [
        {
            "": name,
            "family": family,
            PARAMETERS: costs[name].parameters / 1e6,
            GMACS: costs[name].macs / 1e9,
            SPEED: costs[name].ms_per_image,
            MEMORY: costs[name].megabytes,
            PUBLISHED: top1,
            "source": source,
        }
        for name, family, top1, source, _ in baselines
    ]
    return pd.DataFrame(rows).set_index("")


def as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with every number written as it is to be read; what is missing is a dash."""
    text = pd.DataFrame(index=frame.index)
    for name, column in frame.items():
        text[name] = ["–" if pd.isna(value) else _written(str(name), value) for value in column]
    for mean, spread in ((ACCURACY, SPREAD), (DIVERSITY, DIVERSITY_SPREAD)):
        if spread in text:
            text[mean] += " ± " + text.pop(spread)
    return text


def is_text(frame: pd.DataFrame) -> list[bool]:
    """Return for every column of :func:`as_text` whether it holds words, not numbers."""
    return [not pd.api.types.is_numeric_dtype(frame[name]) for name in as_text(frame).columns]


def _written(name: str, value: Any) -> str:
    name = name.rpartition(": ")[2]  # after the size of images
    if name in THREE_DIGITS or is_speed(name):  # significant ones, but no fewer than those before the point
        return f"{value:.{max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0}f}"
    return f"{value:.{DIGITS[name]}f}" if name in DIGITS else str(value)


def write_tables(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write a table as ``name.csv`` and ``name.json`` (all digits), ``name.md`` and ``name.tex`` (with ``booktabs``).

    The JSON also holds the machine.
    """
    text = as_text(frame)
    sides = ["left", *("left" if words else "right" for words in is_text(frame))]
    latex = text.reset_index().to_latex(index=False, escape=True, column_format="".join(side[0] for side in sides))
    contents = {
        "csv": frame.to_csv(),
        "json": json.dumps({"machine": describe_machine(), "rows": _rows(frame)}, indent=1) + "\n",
        "md": text.to_markdown(disable_numparse=True, colalign=sides) + "\n",
        "tex": latex.replace("±", r"$\pm$").replace("–", "--"),
    }
    for suffix, content in contents.items():
        write_whole(folder / f"{name}.{suffix}", partial(Path.write_text, data=content, encoding="utf-8"))


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table for JSON, without what is missing."""
    records = frame.rename_axis("name").reset_index().to_dict("records")
    return [{str(name): value for name, value in row.items() if not pd.isna(value)} for row in records]


def paired_p(values: Sequence[float], others: Sequence[float]) -> float:
    """Return the probability of a mean difference at least as large if there were none (two-sided paired t test).

    The pairs are runs from the same seed. One seed, and differences that are all the same, as a handful of images
    may give, prove nothing: 1.
    """
    from scipy.stats import ttest_rel

    differences = np.subtract(values, others)
    if len(differences) < 2 or np.ptp(differences) < 1e-9:
        return 1.0
    return float(ttest_rel(values, others).pvalue)


def by_points(better: str, worse: str, high: float, low: float) -> str:
    """Return how two means in percent differ."""
    return f"“{better}” beats “{worse}” by {high - low:.2f} points"


def claims(
    values: Mapping[str, Sequence[float]],
    baselines: Mapping[str, str],
    say: Callable[[str, str, float, float], str] = by_points,
) -> list[str]:
    """Return a sentence for every row that differs from its baseline by more than chance explains.

    p is corrected for the number of comparisons (Bonferroni). Without any comparison nothing is said.

    Args:
        values: For every row a value per seed.
        baselines: For every row the row to compare with; itself for none.
        say: Called with the better row, the other, and the mean of either; returns how they differ.
    """
    pairs = [(label, other) for label, other in baselines.items() if label != other and other in values]
    if not pairs:
        return []
    seeds = min(len(found) for found in values.values())
    if seeds < 2:
        return ["One seed: no difference can be told from chance, so none is claimed."]
    found, smallest = [], 1.0
    for label, other in pairs:
        p = min(1.0, paired_p(values[label], values[other]) * len(pairs))
        smallest = min(smallest, p)
        if p < LEVEL:
            (low, worse), (high, better) = sorted((float(np.mean(values[name])), name) for name in (label, other))
            chance = f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"
            found.append(f"{say(better, worse, high, low)} ({chance}).")
    with_ = " and ".join(f"“{other}”" for other in dict.fromkeys(other for _, other in pairs))
    tests = f"paired t tests over {seeds} seeds, p corrected for {len(pairs)} comparison{'s' * (len(pairs) > 1)}"
    if found:
        return [*found, f"Rows were compared with {with_} by {tests}; of the others nothing is claimed."]
    return [f"No row differs from {with_} by more than chance explains ({tests}; the smallest is {smallest:.2f})."]
