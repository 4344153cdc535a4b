"""A study from its plan to its tables, pictures and report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from vig_pyg.conv import get_conv
from vig_pyg.data.graph_sets import GraphData
from vig_pyg.files import write_whole
from vig_pyg.graph import get_graph
from vig_pyg.machine import describe_machine
from vig_pyg.study.charts import FEW, chart_curves, chart_diversity, chart_graphs, chart_rows, draw_photograph
from vig_pyg.study.cost import Cost, Inputs, measure_costs, shape_of
from vig_pyg.study.finding import Finding, save, write_finding
from vig_pyg.study.graph_costs import measure_graph_costs
from vig_pyg.study.graph_tables import chart_crossed, graphs_frame, is_crossed
from vig_pyg.study.page import render
from vig_pyg.study.studies import ABLATIONS, NAMES, OPERATORS, Line, Study, graphs, operators, plan
from vig_pyg.study.tables import MACS, as_text, claims, is_text, study_frame
from vig_pyg.study.trials import Result, StudyData, Trial, read_result
from vig_pyg.study.untrained import LARGE_BATCH, compare_blocks, compare_models
from vig_pyg.tasks import ClassificationRecipe, Recipe, get_task
from vig_pyg.tasks.graphs import GraphRecipe
from vig_pyg.train import ClassificationData

BATCH = 64  # small images at once when costs are measured
EXPECTED_RATIO = 5
MOST_SEEDS = 1000
TRIALS = "trials"  # their folder
CostT = TypeVar("CostT")
Plans: TypeAlias = Mapping[str, Sequence[Line]]  # of studies by name


@dataclass(frozen=True)
class Studies:
    """Which studies to run, how and where."""

    names: Sequence[str]
    base: Recipe
    """How to train a classifier; its ``conv`` and ``seed`` are replaced."""
    convs: Sequence[str]
    """The operators that were asked for; without any, the paper's four are compared, else max_relative is taken."""
    seeds: int
    out: Path
    device: str = "cpu"
    graphs: Sequence[str] = ()
    """The graphs that were asked for in the study of graphs; without any, it compares all."""
    models: Sequence[str] = ()
    """The models that were asked for, with which all rows are repeated, or that are measured in the study of models."""

    def __post_init__(self) -> None:
        """Refuse what cannot be studied.

        Raises:
            ValueError: a study is unknown, there are no seeds, or what is trained is no classifier.
        """
        if type(self.base) not in (ClassificationRecipe, GraphRecipe):  # what a file says is known only now
            raise ValueError(f"a study trains classifiers: task must be classify or graphs, got {self.base.task!r}")
        for conv in self.convs:
            get_conv(conv)
        for graph in self.graphs:
            get_graph(graph)
        for name in self.names:
            if name not in NAMES:
                raise ValueError(f"there is no study {name!r}: take one of {', '.join(NAMES)}, or all")
        if not 1 <= self.seeds <= MOST_SEEDS:
            wanted = "at least 1" if self.seeds < 1 else f"at most {MOST_SEEDS}"
            raise ValueError(f"seeds must be {wanted}, got {self.seeds}")


def chosen_studies(studies: Studies) -> list[Study]:
    """Return the studies that train, in the order asked for."""
    made = {"operators": operators(studies.convs or OPERATORS), "graphs": graphs(studies.graphs), **ABLATIONS}
    return [made[name] for name in studies.names if name != "models"]


def plan_all(studies: Studies, data: StudyData) -> dict[str, list[Line]]:
    """Return what every study that trains needs."""
    convs, plans = studies.convs or ["max_relative"], {}
    for study in chosen_studies(studies):
        models = models_of(studies, study)
        bases = [(replace(studies.base, model=model), model if len(models) > 1 else "") for model in models]
        plans[study.name] = [
            line for base, label in bases for line in plan(study, base, convs, studies.seeds, data, label)
        ]
    return plans


def models_of(studies: Studies, study: Study) -> Sequence[str]:
    """Return the models that a study trains: those asked for, else the recipe's and, unless it has options that are
    its own, those that go with it.
    """
    own, together = studies.base.model, not studies.base.model_options
    return studies.models or (study.models if own in study.models and together else (own,))


def trials_of(plans: Plans) -> list[Trial]:
    """Return the trials of all studies, each once, those of the first seed first."""
    trials = {trial.key: trial for lines in plans.values() for line in lines for trial in line.trials}
    return sorted(trials.values(), key=lambda trial: trial.recipe.seed)


def evaluate_all(studies: Studies, plans: Plans, data: StudyData) -> list[Finding]:
    """Measure costs, write every study's tables and pictures, and return what was found.

    Where trainings are missing, only what is finished is compared, and nothing is claimed.
    """
    kept = {trial.key: read_result(studies.out / TRIALS, trial) for trial in trials_of(plans)}
    results = {key: result for key, result in kept.items() if result is not None}
    finished = {name: _finished(lines, results) for name, lines in plans.items()}
    costs = costs_of(studies, finished, data)
    found = []
    for study in chosen_studies(studies):
        if lines := finished[study.name]:
            gave = [[results[trial.key] for trial in line.trials] for line in lines]
            frame = study_frame(lines, gave, [costs[line.untrained.key] for line in lines])
            if study.name == "graphs":
                parts = measured_of(studies, {study.name: lines}, data, measure_graph_costs)
                frame = frame.join(graphs_frame(lines, [parts[line.untrained.key] for line in lines]))
            captions = write_finding(studies.out, study.name, frame, _draw(study, lines, gave, data, frame))
            complete = [line.trials for line in lines] == [line.trials for line in plans[study.name] if line.trials]
            claim = _diversity_claims if study.diversity else _accuracy_claims
            said = claim(lines, gave) if complete else ["Trainings are missing: no difference is claimed."]
            said += _left_out(plans[study.name])
            note = study.note.format(**lines[0].trials[0].recipe.model_options)
            found.append(Finding(study.name, study.title, study.question, note, frame, said, captions, lines))
            if study.name == "graphs" and isinstance(data, ClassificationData):
                found.append(compare_blocks(lines, studies.out, studies.device))
    if "models" in studies.names and len(results) == len(kept):
        chosen = studies.models if list(studies.names) == ["models"] else ()
        found.append(compare_models(chosen, studies.out, studies.device))
    return found


def _finished(lines: Sequence[Line], results: Mapping[str, Result]) -> list[Line]:
    """Return lines without the trials that are missing, and none without trials."""
    kept = [replace(line, trials=[trial for trial in line.trials if trial.key in results]) for line in lines]
    return [line for line in kept if line.trials]


def _left_out(lines: Sequence[Line]) -> list[str]:
    """Return a sentence for every reason why rows were not trained."""
    reasons = dict.fromkeys(line.refused for line in lines if line.refused)
    rows = {reason: [f"“{line.row.label}”" for line in lines if line.refused == reason] for reason in reasons}
    return [f"Left out: {', '.join(labels)} ({reason})." for reason, labels in rows.items()]


def _draw(
    study: Study, lines: Sequence[Line], results: Sequence[Sequence[Result]], data: StudyData, frame: pd.DataFrame
) -> dict[str, tuple[Figure, str]]:
    """Return a study's pictures and their captions by the name of the file."""
    chart = chart_diversity if study.diversity else chart_rows
    pictures = {study.name: (chart(lines, results), f"{study.title}: the numbers of the table as a chart.")}
    if len(lines) <= FEW:
        caption = "Held-out accuracy and training loss; lines are means over seeds, bands reach from lowest to highest."
        pictures[f"{study.name}-curves"] = chart_curves(lines, results), caption
    if study.name == "graphs" and is_crossed(lines):
        caption = "Operators crossed with graphs: means over seeds, and the time of a whole model."
        pictures[f"{study.name}-crossed"] = chart_crossed(lines, frame), caption
    if isinstance(data, GraphData) and not 0 < data.pos_dim <= 3:
        return pictures  # nodes that are nowhere cannot be drawn
    inside = "patches of a held-out image" if isinstance(data, ClassificationData) else "nodes of a held-out graph"
    caption = (
        f"Inside the trained models: every block links the {inside} by its own graph. Stars mark two of them, squares "
        "of their color the neighbors."
    )
    return pictures | {f"{study.name}-graphs": (chart_graphs(lines, results, data), caption)}


def costs_of(studies: Studies, plans: Plans, data: StudyData) -> dict[str, Cost]:
    """Return what the models of all studies cost, as :func:`measured_of` does."""
    return measured_of(studies, plans, data, measure_costs)


def measured_of(
    studies: Studies, plans: Plans, data: StudyData, measure: Callable[..., dict[str, CostT]]
) -> dict[str, CostT]:
    """Return what the models of all studies cost, by their trials' keys; those that take images of one size in turn."""
    trials = {trial.key: trial for lines in plans.values() for trial in (line.untrained for line in lines)}
    samples = {trial.recipe.model: trial.sample(data, measured_batch(trial, data)) for trial in trials.values()}
    together: dict[tuple[int, ...], Inputs] = {tuple(shape_of(images)): images for images in samples.values()}
    costs: dict[str, CostT] = {}
    for shape, images in together.items():
        own = {key: trial for key, trial in trials.items() if tuple(shape_of(samples[trial.recipe.model])) == shape}
        models = {key: partial(trial.build, data) for key, trial in own.items()}
        costs |= measure(studies.out / "costs", models, images.to(studies.device))
    return costs


def measured_batch(trial: Trial, data: StudyData) -> int:
    """Return how many images or graphs at once costs are measured with: fewer where they are large."""
    if isinstance(data, GraphData):
        return min(BATCH, len(data.test))
    return BATCH if trial.pictured(data).size(-1) <= 64 else LARGE_BATCH


def _accuracy_claims(lines: Sequence[Line], results: Sequence[Sequence[Result]]) -> list[str]:
    values = {line.row.label: [100 * r.accuracy for r in found] for line, found in zip(lines, results, strict=True)}
    return claims(values, {line.row.label: line.baseline for line in lines})


def _diversity_claims(lines: Sequence[Line], results: Sequence[Sequence[Result]]) -> list[str]:
    """Return how many times as diverse ViG's last layer is as ResGCN's."""
    pairs = zip(lines, results, strict=True)
    last = {line.row.label: [r.diversity[-1] for r in found if r.diversity] for line, found in pairs}
    baselines = {line.row.label: line.baseline for line in lines}
    said = claims(last, baselines, _by_factor)
    ratios = [np.mean(last[other]) / np.mean(last[label]) for label, other in baselines.items() if label != other]
    if len(results[0]) > 1 and min(ratios) < EXPECTED_RATIO:
        said.append(f"A factor of at least {EXPECTED_RATIO} was expected; it was not found in this setting.")
    return said


def _by_factor(better: str, worse: str, high: float, low: float) -> str:
    return f"“{better}” is {high / low:.1f} times as diverse after the last layer as “{worse}”"


def write_study_report(
    studies: Studies, findings: Sequence[Finding], plans: Plans, data: StudyData, command: str, complete: bool
) -> None:
    """Write ``report.html``: questions, setting, tables, pictures, what is claimed, and the command that repeats it."""
    trials, device = trials_of(plans), "CPU"
    if studies.device.startswith("cuda"):
        device = torch.cuda.get_device_name()
    of_images = isinstance(data, ClassificationData)
    if trials and of_images:
        save(draw_photograph(), studies.out / "photograph.png")
    page = render(
        "study.html",
        findings=[_shown(studies.out, finding) for finding in findings],
        studies=studies,
        trained=bool(trials),
        models=list(dict.fromkeys(trial.recipe.model for trial in trials)),
        data=data,
        noun=get_task(trials[0].recipe.task).noun if trials else "image",
        share=None if getattr(data, "per_node", False) else 100 / len(data.test),  # of one example in the accuracy
        batch=measured_batch(trials[0], data) if trials else LARGE_BATCH,
        photograph=studies.out / "photograph.png" if of_images else None,
        machine=describe_machine(),
        device=device,
        command=command,
        complete=complete,
    )
    write_whole(studies.out / "report.html", lambda path: path.write_text(page, encoding="utf-8"))


def _shown(out: Path, finding: Finding) -> dict[str, object]:
    """Return a finding as the page's template takes it."""
    text = as_text(finding.frame)
    searches = []
    for line in finding.lines:
        if line.tried and line.baseline in finding.frame.index:
            target = f"{finding.frame[MACS][line.baseline]:.2f}"
            tried = [(width, f"{macs / 1e6:.2f}", width == line.width) for width, macs in line.tried.items()]
            searches.append({"label": line.row.label, "target": target, "tried": tried})
    return {
        **vars(finding),
        "columns": list(zip(text.columns, is_text(finding.frame), strict=True)),
        "rows": [(label, values) for label, *values in text.itertuples(name=None)],
        "pictures": [(out / f"{name}.png", caption) for name, caption in finding.pictures.items()],
        "searches": searches,
    }
