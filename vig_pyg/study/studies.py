"""The studies as data: what is compared, and what the paper found on ImageNet."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from vig_pyg.blocks import Block
from vig_pyg.graph.registry import list_graphs, takes
from vig_pyg.models.schedule import linear_steps
from vig_pyg.models.vig import ViG
from vig_pyg.study.cost import Inputs, count_macs, without_computing
from vig_pyg.study.trials import DIVERSITY_IMAGES, StudyData, Trial
from vig_pyg.tasks import Recipe
from vig_pyg.tasks.classifier import model_keywords
from vig_pyg.train.devices import images_at_once

GRAPH = "knn"
MICRO = ("vig_micro", "pvig_micro")
DEFAULTS: dict[str, Any] = {"heads": 4, "graph": GRAPH, "grapher_fc": True, "ffn": True}
RISING = "9 to 18"  # neighbors, from the first block to the last


@dataclass(frozen=True)
class Row:
    """One line of a study: its name, how the model differs from the default, and the paper's figures.

    ``top1`` is in percent, ``parameters`` in millions, ``flops`` (multiply-accumulates) in billions.
    """

    label: str
    options: Mapping[str, Any] = field(default_factory=dict)
    top1: float | None = None
    parameters: float | None = None
    flops: float | None = None


@dataclass(frozen=True)
class Study:
    """A question, and the rows that answer it; all are compared with the row ``baseline``."""

    name: str
    title: str
    question: str
    rows: Sequence[Row]
    baseline: str
    shared: Mapping[str, Any] = field(default_factory=dict)
    """Options of all rows, unless the recipe says others."""
    match_macs: bool = False
    """Choose every row's width so that it costs what the baseline costs."""
    diversity: bool = False
    """Measure the diversity of every layer."""
    lenient: bool = False
    """Leave out rows that do not fit the data or the operator, and say why."""
    models: Sequence[str] = ()
    """Repeat the rows with all of these where none was asked for and the recipe's is one of them."""
    note: str = ""
    """For the report; an option's name in braces is replaced by its value."""


_OPERATOR_ROWS = (
    Row("max_relative", {"conv": "max_relative"}, 73.9, 7.1, 1.3),
    Row("edge", {"conv": "edge"}, 74.3, 7.2, 2.4),
    Row("gin", {"conv": "gin"}, 72.8, 7.0, 1.3),
    Row("sage", {"conv": "sage"}, 74.0, 7.3, 1.6),
)
OPERATORS = tuple(row.label for row in _OPERATOR_ROWS)


def operators(convs: Sequence[str]) -> Study:
    """Return the study of operators (paper, Table 6)."""
    known = {row.label: row for row in _OPERATOR_ROWS}
    return Study(
        "operators",
        "Graph operators (paper, Table 6)",
        "Does it matter by which operator patches exchange messages?",
        [known.get(conv, Row(conv, {"conv": conv})) for conv in convs],
        "max_relative" if "max_relative" in convs else convs[0],
    )


MODULES = Study(
    "modules",
    "Modules of a block (paper, Table 7)",
    "What do the linear layers around the operator and the FFN after it contribute, at equal cost?",
    [
        Row("operator alone", {"grapher_fc": False, "ffn": False}, 67.0, 5.8, 1.4),
        Row("with FC in Grapher", {"grapher_fc": True, "ffn": False}, 73.4, 4.4, 1.4),
        Row("with FFN", {"grapher_fc": False, "ffn": True}, 73.6, 7.7, 1.3),
        Row("with both", {"grapher_fc": True, "ffn": True}, 73.9, 7.1, 1.3),
    ],
    "with both",
    match_macs=True,
    note="The width of every row is the multiple of the number of heads at which it costs nearest to the full block.",
)

NEIGHBORS = Study(
    "neighbors",
    "Number of neighbors (paper, Table 8)",
    "To how many nearest neighbors should a patch listen?",
    [
        Row(f"K = {k}", {"k": k}, top1)
        for k, top1 in ((3, 72.2), (6, 73.4), (9, 73.6), (12, 73.6), (15, 73.5), (20, 73.3), (RISING, 73.9))
    ],
    "K = 9",
)

HEADS = Study(
    "heads",
    "Heads of the update (paper, Table 9)",
    "Into how many heads should the operator's update be split?",
    [
        Row(f"{h} head{'s' if h > 1 else ''}", {"heads": h}, top1, None, flops)
        for h, top1, flops in ((1, 74.2, 1.6), (2, 74.0, 1.4), (4, 73.9, 1.3), (6, 73.7, 1.2), (8, 73.7, 1.2))
    ],
    "4 heads",
)

DILATED: Mapping[str, Mapping[str, Any]] = {"dilated": {"dilation": 2}, "drawn": {"dilation": 2, "stochastic": True}}


def graphs(names: Sequence[str] = ()) -> Study:
    """Return the study of graphs: of these, or of all that are registered and two variants of the paper's."""
    rows = [Row(name, {"graph": name}) for name in names or sorted(list_graphs(), key=lambda name: name != GRAPH)]
    if not names:
        rows[1:1] = [Row(f"{GRAPH} {label}", {"graph": GRAPH, **options}) for label, options in DILATED.items()]
    return Study(
        "graphs",
        "Ways to build the graph",
        "Which patches should be linked, and does it matter at all?",
        rows,
        GRAPH if GRAPH in names or not names else names[0],
        lenient=True,
        models=MICRO,
        note="The paper has no such table. All rows train the same model on the same data for as long; only the graph "
        "differs. Of “knn dilated” every second of the 2·K nearest is a neighbor; “knn drawn” takes, in training with "
        "probability 0.2, a random half of them. Choosing is what a graph takes, passing what the operators take, both "
        "over all blocks of an image; graphs of places alone are made once and kept, which no figure counts. Of "
        "multiply-accumulates only products count: sums of differences, as greedy and gated have them, are none.",
    )


DIVERSITY = Study(
    "diversity",
    "Over-smoothing (paper, Figure 3)",
    "Do nodes grow alike with depth, and do the linear layers and the FFN of ViG keep them apart?",
    [Row("ViG", {}), Row("ResGCN", {"grapher_fc": False, "ffn": False})],
    "ViG",
    shared={"depth": 12},
    diversity=True,
    note="ResGCN is the same network without the linear layers around the operator and without FFN. Both have "
    "{depth} blocks. Diversity is a "
    f"mean over {DIVERSITY_IMAGES} of those held out. It is not relative to the size of the features, which grow from "
    "block to block as residual branches add up.",
)

ABLATIONS = {study.name: study for study in (MODULES, NEIGHBORS, HEADS, DIVERSITY)}
NAMES = ("operators", "modules", "neighbors", "heads", "graphs", "diversity", "models")


@dataclass(frozen=True)
class Line:
    """A row with one operator: what is trained for it, a trial per seed, and the widths that were tried for it."""

    row: Row
    trials: list[Trial]
    tried: Mapping[int, int] = field(default_factory=dict)
    """Multiply-accumulates of every width, where one was searched."""
    baseline: str = ""
    """The label of the line to compare with."""
    width: int | None = None
    """Of the model, where widths differ."""
    suffix: str = ""
    """What its label says of model and operator beside the row."""
    refused: str = ""
    """Why there are no trials: the row does not fit the data or the operator."""

    @property
    def untrained(self) -> Trial:
        """The trial of the model alone, however it is trained."""
        recipe = self.trials[0].recipe
        of_the_model = ("task", "model", "conv", "graph", "graph_options", "model_options", "data", "image_size")
        return Trial(type(recipe)(**{name: value for name, value in vars(recipe).items() if name in of_the_model}))


def plan(study: Study, base: Recipe, convs: Sequence[str], seeds: int, data: StudyData, model: str = "") -> list[Line]:
    """Return what a study trains.

    Args:
        study: The rows.
        base: How to train; its ``graph`` and ``model_options`` hold for all rows that say nothing else.
        convs: Operators to repeat every row with; rows that name theirs keep it.
        seeds: Trainings per row, from seeds 0, 1, 2, …
        data: What to train on.
        model: What labels say of the model, where there are several.

    Raises:
        ValueError: an option does not fit the model, or the study chooses the graph itself.
    """
    keywords = model_keywords(replace(base, conv=None))
    given = keywords.get("graph") or keywords.get("graph_options")
    if given and all("graph" in row.options for row in study.rows):
        raise ValueError(f"the study of {study.name} chooses the graph itself: leave out {given!r}")
    default = {**DEFAULTS, **study.shared, **keywords}
    graph_options = default.pop("graph_options", {})
    images = Trial(base).sample(data, 1)
    found = []
    for conv in convs if study.name != "operators" else [""]:
        suffix = (f", {model}" if model else "") + (f", {conv}" if conv and len(convs) > 1 else "")
        for row in study.rows:
            options = {**default, **row.options}
            plugged = {"conv": options.pop("conv", conv), "graph": options.pop("graph"), "graph_options": graph_options}
            recipe = _with_neighbors(replace(base, **plugged, model_options=options), data)
            width: int | None = None
            tried: dict[int, int] = {}
            if study.match_macs:
                own = {name: value for name, value in default.items() if name != "graph"}
                width, tried = _search_width(recipe, replace(recipe, model_options=own), data, images)
                if row.label != study.baseline:
                    recipe = _as_wide(recipe, width)
            refused = _refusal(recipe, data, images, study.lenient)
            trials = [Trial(replace(recipe, seed=seed), study.diversity) for seed in range(0 if refused else seeds)]
            if conv not in ("", "max_relative"):
                row = replace(row, top1=None, parameters=None, flops=None)
            row = replace(row, label=row.label + suffix)
            found.append(Line(row, trials, tried, study.baseline + suffix, width, suffix, refused))
    if not any(line.trials for line in found):
        raise ValueError(f"nothing can be compared: {found[0].refused}")
    return found


def _refusal(recipe: Recipe, data: StudyData, images: Inputs, lenient: bool) -> str:
    """Return why a recipe's model and the data do not fit, empty where they do; unless ``lenient``, it is raised."""
    trial = Trial(recipe)
    try:
        count_macs_of(recipe, data, images)  # before anything is trained
        trial.task(data).train_loader(trial.outline(data), images_at_once(recipe, 1))
    except (TypeError, ValueError) as error:
        if not lenient:
            raise
        return str(error)
    return ""


def _with_neighbors(recipe: Recipe, data: StudyData) -> Recipe:
    """Return a recipe that says the number of neighbors, in every block where they differ: the model's own if none."""
    options = dict(recipe.model_options)
    wanted = options.pop("k", None)
    if isinstance(wanted, int | list) or not takes(recipe.graph or GRAPH, "k"):
        return recipe
    model = Trial(replace(recipe, graph=GRAPH, graph_options={}, model_options=options)).outline(data)
    own = [layer.grapher.graph.k for layer in model.modules() if isinstance(layer, Block)]
    ks = linear_steps(9, 18, len(own)) if wanted == RISING else own
    return replace(recipe, model_options={**options, "k": ks[0] if len(set(ks)) == 1 else ks})


def _as_wide(recipe: Recipe, width: int) -> Recipe:
    return replace(recipe, model_options={**recipe.model_options, "channels": width})


def count_macs_of(recipe: Recipe, data: StudyData, images: Inputs) -> int:
    """Return the multiply-accumulates per image of a recipe's model, if possible without computing anything."""
    return without_computing(count_macs, partial(Trial(recipe).build, data), images)


def _search_width(recipe: Recipe, full: Recipe, data: StudyData, images: Inputs) -> tuple[int, dict[int, int]]:
    """Return the width at which a recipe's model costs what that of ``full`` costs, as :func:`matching_width` does."""
    full = _with_neighbors(full, data)
    model = Trial(full).outline(data)
    if not isinstance(model, ViG):
        raise ValueError(f"widths are searched for ViG models such as vig_micro or vig_tiny, not for {recipe.model}")
    step = math.lcm(recipe.model_options["heads"], max(1, model.stem.stride // 2))
    widths, target = range(step, 4 * model.num_features, step), count_macs_of(full, data, images)
    return matching_width(lambda width: count_macs_of(_as_wide(recipe, width), data, images), target, widths)


def matching_width(macs: Callable[[int], int], target: int, widths: Sequence[int]) -> tuple[int, dict[int, int]]:
    """Return the width whose cost is nearest to a target, and the cost of every width that was tried.

    The cost rises with the width, so that halving the range of ``widths``, which rise, finds it.
    """
    tried: dict[int, int] = {}

    def cost(width: int) -> int:
        if width not in tried:
            tried[width] = macs(width)
        return tried[width]

    above = bisect_left(widths, target, key=cost)
    best = min(widths[max(0, above - 1) : above + 1], key=lambda width: abs(cost(width) - target))
    return best, dict(sorted(tried.items()))
