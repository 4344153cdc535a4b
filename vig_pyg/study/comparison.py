"""Operators and graphs compared from Python, as ``vig-pyg study`` does it from a shell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from vig_pyg.checks import check_kind, check_whole
from vig_pyg.data.graph_sets import BUILT_IN
from vig_pyg.graph import get_graph
from vig_pyg.study.run import TRIALS, Studies, costs_of, trials_of
from vig_pyg.study.studies import Row, Study, plan
from vig_pyg.study.tables import study_frame
from vig_pyg.study.trials import Result, Trial, load, read_result, run_trials
from vig_pyg.tasks import Recipe, get_task, read_recipe
from vig_pyg.tasks.registry import task_for

BRIEF = ("epochs=5", "warmup_epochs=0.9")  # on built-in data: minutes per study of digits on two cores


def compare(
    convs: Sequence[str] = ("max_relative",),
    graphs: Sequence[str] = ("knn",),
    data: str = "digits",
    *,
    model: str | None = None,
    recipe: str | None = None,
    seeds: int = 3,
    out: str | Path | None = None,
    jobs: int = 1,
    device: str = "cpu",
    changes: Sequence[str] = (),
) -> pd.DataFrame:
    """Train a model with every operator and every graph, and return what each combination reaches and costs.

    Args:
        convs: Operators, by registered names or ``"module:Name"``.
        graphs: Graphs, likewise.
        data: ``"digits"``, a folder of images, a name that timm knows, or graphs such as ``"digits-superpixels"``.
        model: The model to vary; None for the recipe's.
        recipe: A recipe; None for that of the data, with 5 epochs where these are built in.
        seeds: Trainings per row, from seeds 0, 1, 2, …
        out: A folder that keeps finished trainings: what was trained before is not trained again. None keeps nothing.
        jobs: Trainings at a time.
        device: Where to train and measure.
        changes: Changes of the recipe, such as ``"epochs=20"`` or ``"model_options.k=12"``.

    Returns:
        A row for every ``(conv, graph)`` with parameters and multiply-accumulates in millions, held-out accuracy as
        mean and standard deviation over seeds in percent, milliseconds per image or graph, and megabytes; then the
        accuracy from every seed, for tests of what differs.

    Raises:
        ValueError: an operator, a graph, the data or a change is not known or does not fit, or the comparison chooses
            it itself.
        TypeError: a graph links places of a grid, and the data's nodes have none.
    """
    convs, graphs = _words(convs=convs), _words(graphs=graphs)
    for graph in graphs:
        get_graph(graph)
    check_whole(seeds=seeds, jobs=jobs)
    options = [f"data={data}", *([] if model is None else [f"model={model}"])]
    base = base_recipe(recipe, [*options, *changes], {"conv": "convs", "seed": "seeds"})
    rows = [Row(f"{conv}, {graph}", {"conv": conv, "graph": graph}) for conv in convs for graph in graphs]
    study = Study("comparison", "", "", rows, rows[0].label)
    with TemporaryDirectory() as temporary:
        studies = Studies([], base, convs, seeds, Path(out or temporary), device)
        loaded = load(base)
        plans = {study.name: plan(study, base, [""], seeds, loaded)}
        run_trials(studies.out / TRIALS, trials_of(plans), device, jobs)
        lines, costs = plans[study.name], costs_of(studies, plans, loaded)
        results = [[_result(studies, trial) for trial in line.trials] for line in lines]
    frame = study_frame(lines, results, [costs[line.untrained.key] for line in lines])
    for seed in range(seeds):
        frame[f"seed {seed} (%)"] = [100 * found[seed].accuracy for found in results]
    return frame.set_axis(pd.MultiIndex.from_product([convs, graphs], names=["conv", "graph"]))


def base_recipe(recipe: str | None, changes: Sequence[str], chosen: dict[str, str]) -> Recipe:
    """Return how to train in a study: by a recipe, or by the one that the task of the data has for them.

    Args:
        recipe: Its name or file, or None.
        changes: ``key=value``.
        chosen: What the study chooses itself, ``conv`` and ``seed``, and what the user says instead.

    Raises:
        ValueError: the recipe chooses what the study does.
    """
    if recipe is None:
        written = dict(change.partition("=")[::2] for change in changes)
        data = written.get("data")
        changes = [*(BRIEF if data in (None, "digits", *BUILT_IN) else ()), *changes]
        recipe = get_task(written.get("task") or task_for(data)).default_recipe(written)
    base = read_recipe(recipe, changes)
    said = {"conv": base.conv, "model_options.conv": base.model_options.get("conv"), "seed": base.seed or None}
    for key, value in said.items():
        if value is not None:
            instead = chosen[key.rpartition(".")[2]]
            raise ValueError(f"a study chooses {key} itself: use {instead} instead of {key}={value}")
    return base


def _words(**lists: Sequence[str]) -> list[str]:
    """Return the words of a list, each once; a lone one is a list of one."""
    [(name, words)] = lists.items()
    check_kind("a list of names", Sequence, **lists)
    if not words:
        raise ValueError(f"{name} must name at least one, got none")
    return [words] if isinstance(words, str) else list(dict.fromkeys(words))


def _result(studies: Studies, trial: Trial) -> Result:
    result = read_result(studies.out / TRIALS, trial)
    assert result is not None
    return result
