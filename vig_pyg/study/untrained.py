"""Comparisons that train nothing: graphs in larger images, published models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from vig_pyg.study.baselines import baselines, folded
from vig_pyg.study.charts import chart_models
from vig_pyg.study.cost import measure_costs
from vig_pyg.study.finding import Finding, write_finding
from vig_pyg.study.graph_costs import SIZES, measure_blocks
from vig_pyg.study.graph_tables import blocks_frame, chart_blocks
from vig_pyg.study.studies import Line
from vig_pyg.study.tables import models_frame

LARGE_BATCH = 8  # images of 224×224 at once when costs are measured


def compare_blocks(lines: Sequence[Line], out: Path, device: str) -> Finding:
    """Return what choosing and passing cost in one block of larger images, with every graph of a study."""
    conv = lines[0].trials[0].recipe.conv or "max_relative"
    rows = {line.row.label.removesuffix(line.suffix): line.row.options for line in lines}
    chosen = {
        label: (options["graph"], {name: options[name] for name in ("dilation",) if name in options})
        for label, options in rows.items()
        if "stochastic" not in options  # differs in training alone
    }
    costs = {size: measure_blocks(out / "costs", chosen, conv, size, device) for size in SIZES}
    frame = blocks_frame(costs)
    caption = "Milliseconds that the graph and the operator of one block take: mind the scales."
    captions = write_finding(out, "graph-costs", frame, {"graph-costs": (chart_blocks(frame), caption)})
    return Finding(
        "graph-costs",
        "What graphs cost in larger images",
        "What do choosing and passing cost in one block as images grow?",
        f"The first block of ViG-Ti, 192 channels wide, untrained, with the operator {conv}, on one photograph of "
        "224×224 (196 nodes) and of 800×1280 pixels (4000). Where a graph asks for a number of neighbors it is 9. "
        "Memory is the most that the block takes beside weights and nodes.",
        frame,
        [],
        captions,
    )


def compare_models(names: Sequence[str], out: Path, device: str) -> Finding:
    """Return what published models cost, all or those of these names, and how accurate they were published to be."""
    images = torch.randn(LARGE_BATCH, 3, 224, 224, generator=torch.Generator().manual_seed(0)).to(device)
    chosen = baselines(names)
    costs = measure_costs(out / "costs", {model.name: model.build for model in chosen}, images, folded)
    frame = models_frame(chosen, costs)
    caption = "Published accuracy against multiply-accumulates and against time; thick lines are of this library."
    captions = write_finding(out, "models", frame, {"models": (chart_models(frame), caption)})
    return Finding(
        "models",
        "Published models, all graph networks beside others",
        "What do Vision GNNs cost here, beside other networks of their time, and how accurate are they?",
        "Nothing is trained here: accuracies are those published, under each model's own training (MobileViG and its "
        "successors had a teacher). All are counted and measured at 224×224 and 1000 classes, "
        f"{LARGE_BATCH} images at once; ours with norms folded, timm's as they are. Of the graphs' own arithmetic "
        "only products count as multiply-accumulates.",
        frame,
        [],
        captions,
    )
