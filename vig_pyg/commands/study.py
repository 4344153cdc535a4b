"""``vig-pyg study``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from joblib import cpu_count
from rich.table import Table

from vig_pyg.commands.app import app, console, progress_bar, table_of
from vig_pyg.commands.options import asked, assignments, plug, usable_device
from vig_pyg.study.comparison import base_recipe
from vig_pyg.study.finding import Finding
from vig_pyg.study.run import TRIALS, Studies, evaluate_all, plan_all, trials_of, write_study_report
from vig_pyg.study.studies import NAMES, Line
from vig_pyg.study.tables import (
    ACCURACY,
    CHOOSING,
    DIVERSITY,
    EDGES,
    GMACS,
    MACS,
    PARAMETERS,
    PASSING,
    PUBLISHED,
    TOP1,
    as_text,
    is_speed,
)
from vig_pyg.study.trials import Trial, leave_group, load, run_trials
from vig_pyg.train.run import Interrupted


@app.command()
def study(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"{', '.join(NAMES)}, or all.")],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes of the recipe.")
    ] = None,
    conv: Annotated[
        list[str] | None,
        plug("Operator: a name or module:Name. Repeat for several. (default: max_relative; in operators, four)"),
    ] = None,
    graph: Annotated[
        list[str] | None,
        plug("Graph of all models: a name or module:Name. In graphs, repeat for those to compare. (default: all)"),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="digits, a folder, a name for timm (torch/cifar10), or graphs (digits-superpixels, shapes). "
            "(default: digits, or the recipe's)"
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="The model to vary, or in models to measure. Repeat for several. (default: the recipe's; in graphs "
            "vig_micro and pvig_micro; in models all)"
        ),
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="A recipe. (default: the data's own, deit for images)")] = None,
    seeds: Annotated[int, typer.Option(help="Trainings per row.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for trials, tables, pictures and report.")] = Path("runs/study"),
    device: Annotated[str | None, typer.Option(help="cpu or cuda. (default: a GPU where there is one)")] = None,
    jobs: Annotated[int | None, typer.Option(help="Trainings at a time. (default: one per core, one on a GPU)")] = None,
) -> None:
    """Repeat the paper's experiments: tables, pictures and a report, with several seeds.

    Finished trainings are kept: what was interrupted goes on, and a further seed or operator trains only what is
    missing. Processes and machines that share --out share the work, also under `accelerate launch -m vig_pyg study`.
    """
    rank, processes = leave_group()
    console.quiet = rank > 0
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    device = usable_device(device)
    convs, graphs, models = (list(dict.fromkeys(words or [])) for words in (conv, graph, model))
    of_all = one_for_all(name, [*convs, *(changes or [])], graphs)
    first = None if name == "models" else next(iter(models), None)
    wanted = [*assignments(data=data, model=first, graph=of_all), *(changes or [])]
    chosen = base_recipe(recipe, wanted, {"conv": "--conv", "seed": "--seeds"})
    if name != "models" and not models and (recipe or any(change.startswith("model=") for change in wanted)):
        models = [chosen.model]
    names = NAMES if name == "all" else [name]
    studies = Studies(names, chosen, convs, seeds, out, device, [] if of_all else graphs, models)
    if jobs is None:
        jobs = default_jobs(device) if processes == 1 else 1
    options = {"data": data, "graph": graph, "model": model, "recipe": recipe, "seeds": seeds}
    compare(studies, jobs, command_line(["study", name, *(changes or [])], studies.convs, **options))


def one_for_all(name: str, others: Sequence[str], graphs: Sequence[str]) -> str | None:
    """Return the graph that all models of a study get, None where it compares graphs or none was asked for.

    Raises:
        ValueError: the study has no use for what was asked for.
    """
    if name == "models" and (unused := [*others, *graphs]):
        raise ValueError(f"published models are measured as they are, untrained: leave out {unused[0]!r}")
    if name == "graphs" or not graphs:
        return None
    if len(graphs) > 1:
        raise ValueError(f"only the study of graphs compares several: give {name} one --graph, not {', '.join(graphs)}")
    return graphs[0]


def compare(studies: Studies, jobs: int, command: str) -> None:
    """Train what is missing, compare, and report; Ctrl-C ends the training, and what is finished is compared.

    Raises:
        Interrupted: there was a Ctrl-C.
    """
    loaded = load(studies.base)
    plans = plan_all(studies, loaded)
    complete = _train(studies, plans, jobs)
    findings = [] if console.quiet else evaluate_all(studies, plans, loaded)
    if findings:
        write_study_report(studies, findings, plans, loaded, command, complete)
        for finding in findings:
            console.print(as_table(finding), *finding.claims, sep="\n")
        written = ", ".join(finding.name for finding in findings)
        console.print(f"Written to {studies.out}: report.html; {written}, each as .md, .csv, .json, .tex and .png.")
    if not complete:
        raise Interrupted("finished trainings are kept; the same command trains what is missing")


def default_jobs(device: str) -> int:
    """Return how many trainings to do at a time: one per core, or one on a GPU."""
    return cpu_count() if device == "cpu" else 1


def _train(studies: Studies, plans: dict[str, list[Line]], jobs: int) -> bool:
    """Train with a progress bar; return whether all is trained, not interrupted."""
    trials = trials_of(plans)
    if not trials:
        return True
    models = " and ".join(dict.fromkeys(trial.recipe.model for trial in trials))
    what = f"{len(trials)} trainings of {models} on {Path(studies.base.data).name}"
    console.print(f"{what}, {jobs} at a time. Ctrl-C stops; finished ones are kept and compared.")
    with progress_bar(console.quiet) as bar:
        task = bar.add_task("trainings", total=len(trials), note="")

        def advance(trial: Trial) -> None:
            recipe = trial.recipe
            bar.update(task, advance=1, note=f"{recipe.conv}, {recipe.graph}, seed {recipe.seed}")

        try:
            run_trials(studies.out / TRIALS, trials, studies.device, jobs, advance)
        except KeyboardInterrupt:
            return False
    return True


def command_line(words: Sequence[str], convs: Sequence[str], **options: object) -> str:
    """Return a command as it is typed, without the options that are None; a list is one that is repeated."""
    many = {name: value if isinstance(value, list) else [value] for name, value in asked(**options).items()}
    given = [(name, value) for name, values in {"conv": convs, **many}.items() for value in values]
    return shlex.join(["vig-pyg", *words, *(word for name, value in given for word in (f"--{name}", str(value)))])


def as_table(finding: Finding) -> Table:
    """Return the columns of a study's table that fit on a screen."""
    text = as_text(finding.frame)
    columns = [PARAMETERS, MACS, GMACS, ACCURACY, DIVERSITY, TOP1, PUBLISHED, EDGES, CHOOSING, PASSING]
    if CHOOSING in text:  # these fit, or the others
        columns = [ACCURACY, EDGES, CHOOSING, PASSING]
    plain = {name: str(name).rpartition(": ")[2] for name in text}
    shown = text[[name for name in text if plain[name] in columns or is_speed(plain[name])]]
    table = table_of([["", *shown], *shown.itertuples(name=None)], finding.title)
    for column, (name, values) in zip(table.columns[1:], shown.items(), strict=True):
        column.width = max(map(len, [*str(name).split(), *values]))  # all that wraps is labels
    return table
