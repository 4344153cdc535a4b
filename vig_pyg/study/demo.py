"""The main job: train and compare operators on real images, and show a graph."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import timm
import torch
from matplotlib.figure import Figure

from vig_pyg.files import write_whole
from vig_pyg.graph import PatchGraph
from vig_pyg.machine import describe_machine
from vig_pyg.models.vision_gnn import VisionGNN
from vig_pyg.study.cost import count_macs, count_parameters, milliseconds_per_image
from vig_pyg.study.pictures import draw_curves, draw_neighbors
from vig_pyg.study.report import write_demo_report
from vig_pyg.study.run import MOST_SEEDS
from vig_pyg.train import Epoch, Split, accelerator_for, fit, load_data, load_digits, read_recipe

OPERATORS = ("max_relative", "edge", "gin", "sage")
PHOTOGRAPH = "china.jpg"
PATCH = 20
CENTERS = ((4, 5), (10, 9))  # a patch of sky and one of the temple, as (row, column)


class Run(NamedTuple):
    """One training run."""

    conv: str
    seed: int
    seconds: float
    epochs: list[Epoch]


class Row(NamedTuple):
    """One line of the table; accuracies are shares of the held-out images."""

    conv: str
    parameters: int
    macs: int
    ms_per_image: float
    accuracy: float
    spread: float
    seeds: int


def build(conv: str, device: torch.device) -> VisionGNN:
    """Return the untrained model of the demo with an operator."""
    return cast(VisionGNN, timm.create_model("vig_micro", conv=conv, in_chans=1, num_classes=10).to(device))


def run_demo(
    out: Path,
    convs: Sequence[str] = OPERATORS,
    epochs: int = 6,
    seeds: int = 3,
    device: torch.device | str = "cpu",
    on_epoch: Callable[[str, int, Epoch], None] = lambda *_: None,
) -> list[Row]:
    """Train ``vig_micro`` with every operator from every seed, compare, draw, and write everything to ``out``.

    ``results.json`` is written anew after every run. An interruption (``KeyboardInterrupt``) ends the training;
    what is finished is compared and drawn all the same.

    Args:
        out: Folder for ``results.json``, ``curves.png``, ``photograph.png``, ``digit.png`` and ``report.html``.
        convs: Operators by name.
        epochs: Passes over the training images.
        seeds: Runs per operator, from seeds 0, 1, 2, …
        device: Where to train.
        on_epoch: Called with operator, seed and result after every epoch.

    Returns:
        The table; without a finished run, no rows.

    Raises:
        ValueError: ``epochs`` or ``seeds`` is below 1, or an operator is unknown.
    """
    if epochs < 1 or seeds < 1:
        raise ValueError(f"epochs and seeds must be at least 1, got {epochs} and {seeds}")
    if seeds > MOST_SEEDS:
        raise ValueError(f"seeds must be at most {MOST_SEEDS}, got {seeds}")
    device = torch.device(device)
    words = [f"epochs={epochs}", "warmup_epochs=0.9"]
    recipes = [read_recipe("digits", [*words, f"seed={seed}"]) for seed in range(seeds)]
    for conv in convs:
        build(conv, torch.device("cpu"))
    out.mkdir(parents=True, exist_ok=True)
    data, images = load_digits(), load_data("digits")
    setting = describe(data, epochs, seeds, device)
    runs: list[Run] = []
    trained: VisionGNN | None = None
    try:
        for seed, recipe in enumerate(recipes):
            for conv in convs:
                torch.manual_seed(seed)
                model, start = build(conv, device), time.perf_counter()
                accelerator = accelerator_for(recipe, str(device))
                history = fit(model, images, recipe, accelerator=accelerator, on_epoch=partial(on_epoch, conv, seed))
                runs.append(Run(conv, seed, time.perf_counter() - start, history))
                trained = trained or model
                write_results(out / "results.json", runs, [], setting)
    except KeyboardInterrupt:
        setting["interrupted"] = True
    if trained is None:
        return []
    rows = tabulate(runs, data, device)
    write_results(out / "results.json", runs, rows, setting)
    draw_pictures(out, runs, trained, data)
    write_demo_report(out, rows, setting)
    return rows


def draw_pictures(out: Path, runs: Sequence[Run], trained: VisionGNN, data: Split) -> None:
    """Draw the learning curves, the graph of a photograph, and graphs inside a trained model."""
    from sklearn.datasets import load_sample_image

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, field in ((left, "accuracy"), (right, "loss")):
        curves: dict[str, list] = {}
        for run in runs:
            curves.setdefault(run.conv, []).append([getattr(epoch, field) for epoch in run.epochs])
        draw_curves(axes, curves, "held-out accuracy" if field == "accuracy" else "training loss")
    final = min(run.epochs[-1].accuracy for run in runs)
    left.set_ylim(min(0.9, final - 0.05), 1.0)  # early epochs would flatten what matters
    _save(figure, out / "curves.png")

    photograph = load_sample_image(PHOTOGRAPH).copy()
    graph = PatchGraph(PATCH, k=18, cosine=False)(photograph)
    image = torch.from_numpy(photograph).permute(2, 0, 1) / 255
    figure = Figure(figsize=(11, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    columns = int(graph.grid[0, 1])
    draw_neighbors(left, image, graph, [], f"{graph.num_nodes} patches of {PATCH}×{PATCH} pixels")
    centers = [row * columns + column for row, column in CENTERS]
    draw_neighbors(right, image, graph, centers, "two patches and their 18 nearest in feature space")
    _save(figure, out / "photograph.png")

    digit = data.test_images[:1].to(next(trained.parameters()).device)
    with torch.no_grad():
        _, graphs = trained.eval().forward_graphs(digit)
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    for block, (axes, batch) in enumerate(zip(figure.subplots(1, len(graphs)), graphs, strict=True), start=1):
        draw_neighbors(axes, digit[0] / 2 + 0.5, batch.cpu()[0], [27, 36], f"block {block}")
    _save(figure, out / "digit.png")


def _save(figure: Figure, path: Path) -> None:
    write_whole(path, lambda partial: figure.savefig(partial, dpi=110, format="png"))


def tabulate(runs: Sequence[Run], data: Split, device: torch.device) -> list[Row]:
    """Return one row per operator that finished a run, with speeds measured in turn."""
    convs = list(dict.fromkeys(run.conv for run in runs))
    models = {conv: build(conv, device) for conv in convs}
    images = data.test_images[:64].to(device)
    speed = milliseconds_per_image(models, images)
    rows = []
    for conv in convs:
        final = [run.epochs[-1].accuracy for run in runs if run.conv == conv]
        spread = statistics.stdev(final) if len(final) > 1 else 0.0
        model = models[conv]
        cost = count_parameters(model), count_macs(model, images[:1]), speed[conv]
        rows.append(Row(conv, *cost, statistics.mean(final), spread, len(final)))
    return rows


def write_results(path: Path, runs: Sequence[Run], rows: Sequence[Row], setting: dict[str, Any]) -> None:
    """Write the raw numbers as JSON; the file is whole or not there."""
    content = {
        **setting,
        "table": [row._asdict() for row in rows],
        "runs": [{**run._asdict(), "epochs": [epoch.row() for epoch in run.epochs]} for run in runs],
    }
    write_whole(path, lambda partial: partial.write_text(json.dumps(content, indent=1)))


def describe(data: Split, epochs: int, seeds: int, device: torch.device) -> dict[str, Any]:
    """Return what is needed to repeat the demo."""
    return {
        "training images": len(data.train_labels),
        "held-out images": len(data.test_labels),
        "model": "vig_micro",
        "epochs": epochs,
        "seeds": seeds,
        "device": str(device),
        **describe_machine(),
    }
