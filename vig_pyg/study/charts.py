"""Charts of a study's numbers, with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from vig_pyg.study.pictures import COLORS
from vig_pyg.study.studies import Line
from vig_pyg.study.tables import GMACS, PUBLISHED, SPEED
from vig_pyg.study.trials import Result

MARKERS = "osD^vP*X"  # one more than colors: pairs of both, cycled, differ for long


def chart_rows(lines: Sequence[Line], results: Sequence[Sequence[Result]]) -> Figure:
    """Return accuracies, a dot per seed and a bar at their mean; beside them the paper's on ImageNet, if any."""
    labels = [line.row.label for line in lines]
    paper = [line.row.top1 for line in lines]
    known = any(value is not None for value in paper)
    figure = Figure(figsize=(10 if known else 7, 1.3 + 0.42 * len(lines)), layout="constrained")
    panels = figure.subplots(1, 1 + known, sharey=True, squeeze=False)[0]
    for place, found in enumerate(results):
        values = [100 * result.accuracy for result in found]
        panels[0].plot(values, [place] * len(values), "o", color=COLORS[1], alpha=0.55, markeredgewidth=0)
        mean = sum(values) / len(values)
        panels[0].plot([mean, mean], [place - 0.28, place + 0.28], color=COLORS[0], linewidth=2.5)
    panels[0].set_xlabel("held-out accuracy, % (dots: seeds, bars: means)")
    if known:
        panels[1].plot([float("nan") if v is None else v for v in paper], range(len(paper)), "D", color=COLORS[2])
        panels[1].set_xlabel("the paper's ImageNet top-1, %")
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].invert_yaxis()
    for axes in panels:
        axes.margins(x=0.08)
        _plain(axes)
    return figure


def chart_diversity(lines: Sequence[Line], results: Sequence[Sequence[Result]]) -> Figure:
    """Return the diversity of every layer: means over seeds, bands from lowest to highest (paper, Figure 3)."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for line, found, color, marker in zip(lines, results, cycle(COLORS), cycle(MARKERS), strict=False):
        values = pd.DataFrame([result.diversity for result in found])
        layers = range(1, values.shape[1] + 1)
        axes.plot(layers, values.mean(), marker=marker, color=color, label=line.row.label)
        axes.fill_between(layers, values.min(), values.max(), color=color, alpha=0.15, linewidth=0)
    axes.set(xlabel="layer", ylabel="feature diversity (Eq. 9)", xticks=list(layers))
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    _plain(axes)
    return figure


def chart_models(frame: pd.DataFrame) -> Figure:
    """Return published accuracy against multiply-accumulates and against time, a line per family."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    families: Mapping[str, pd.DataFrame] = dict(list(frame.groupby("family", sort=False)))
    for axes, cost, label in ((left, GMACS, "multiply-accumulates, billions"), (right, SPEED, "ms per image, here")):
        for (family, rows), color, marker in zip(families.items(), cycle(COLORS), cycle(MARKERS), strict=False):
            ours = "ViG" in family
            axes.plot(
                rows[cost],
                rows[PUBLISHED],
                marker=marker,
                color=color,
                label=family,
                linewidth=2.5 if ours else 1,
                markersize=8 if ours else 5,
            )
        axes.set_xscale("log")
        axes.set_xlabel(label)
        _plain(axes)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    left.set_ylabel("published ImageNet top-1, %")
    left.legend(frameon=False, loc="lower right")
    return figure


def _plain(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
