"""Tables and charts of what graphs cost, and of operators crossed with graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vig_pyg.study.graph_costs import BlockCost, GraphCost
from vig_pyg.study.studies import Line
from vig_pyg.study.tables import ACCURACY, CHOOSING, CHOOSING_MACS, EDGES, LEFT_OUT, MEMORY, PASSING, PASSING_MACS
from vig_pyg.study.views import COLORS

Size = tuple[int, int]


def graphs_frame(lines: Sequence[Line], costs: Sequence[GraphCost]) -> pd.DataFrame:
    """Return what the graphs and operators of every line cost, counts in millions."""
    rows = [
        {
            EDGES: cost.edges,
            CHOOSING_MACS: cost.choosing_macs / 1e6,
            PASSING_MACS: cost.passing_macs / 1e6,
            CHOOSING: cost.choosing_ms,
            PASSING: cost.passing_ms,
        }
        for cost in costs
    ]
    return pd.DataFrame(rows, [line.row.label for line in lines])


def blocks_frame(costs: Mapping[Size, Mapping[str, BlockCost | str]]) -> pd.DataFrame:
    """Return what one block costs with every graph: the columns of each size, and why some have no figures, if any."""
    parts, words = [], dict[str, str]()
    for (height, width), found in costs.items():
        title = f"{height}×{width}"
        rows: dict[str, dict[str, float]] = {}
        for name, cost in found.items():
            rows[name] = {}
            if isinstance(cost, str):
                words[name] = cost
            else:
                columns = (EDGES, CHOOSING, PASSING, MEMORY)
                values = (cost.edges, cost.choosing_ms, cost.passing_ms, cost.megabytes)
                rows[name] = dict(zip((f"{title}: {column}" for column in columns), values, strict=True))
        parts.append(pd.DataFrame.from_dict(rows, orient="index"))
    frame = pd.concat(parts, axis="columns").rename_axis("")
    return frame.assign(**{LEFT_OUT: pd.Series(words)}) if words else frame


def chart_blocks(frame: pd.DataFrame) -> Figure:
    """Return the milliseconds of choosing and of passing with every graph, a panel per size of image."""
    sizes = [name.partition(": ")[0] for name in frame if str(name).endswith(PASSING)]
    figure = Figure(figsize=(10, 1.4 + 0.32 * len(frame)), layout="constrained")
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    for axes, size in zip(panels, sizes, strict=True):
        for column, color, marker in ((CHOOSING, COLORS[0], "o"), (PASSING, COLORS[1], "s")):
            label = column.partition(" ")[0]
            axes.plot(frame[f"{size}: {column}"], range(len(frame)), marker, color=color, label=label)
        axes.set(xscale="log", xlabel="ms, one block and one image", title=size)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(frame)), frame.index)
    panels[0].invert_yaxis()
    panels[-1].legend(frameon=False)
    return figure


def is_crossed(lines: Sequence[Line]) -> bool:
    """Return whether several operators were compared, each with several graphs."""
    return len({line.trials[0].recipe.conv for line in lines}) > 1 < len({_graph(line) for line in lines})


def chart_crossed(lines: Sequence[Line], frame: pd.DataFrame) -> Figure:
    """Return operators crossed with graphs as maps: a row of panels per model, accuracy beside time."""
    speed = next(str(name) for name in frame if str(name).startswith("ms per "))
    models = list(dict.fromkeys(line.trials[0].recipe.model for line in lines))
    wide = max(5.0, 2 + 0.55 * len({_graph(line) for line in lines}))
    tall = 2 + 0.3 * len({line.trials[0].recipe.conv for line in lines})
    figure = Figure(figsize=(2 * wide, tall * len(models)), layout="constrained")
    for model, row in zip(models, figure.subplots(len(models), 2, squeeze=False), strict=True):
        own = [line for line in lines if line.trials[0].recipe.model == model]
        places = {(line.trials[0].recipe.conv, _graph(line)): line.row.label for line in own}
        for axes, column, title in zip(row, (ACCURACY, speed), ("held-out accuracy, %", speed), strict=True):
            values = pd.Series({place: frame[column][label] for place, label in places.items()})
            table = values.unstack().reindex(  # in the order of the lines; what was left out is missing
                index=dict.fromkeys(conv for conv, _ in places), columns=dict.fromkeys(graph for _, graph in places)
            )
            _draw_map(axes, table, f"{model}: {title}", "viridis" if column == ACCURACY else "viridis_r")
    return figure


def _graph(line: Line) -> str:
    return line.row.label.removesuffix(line.suffix)


def _draw_map(axes: Axes, table: pd.DataFrame, title: str, colors: str) -> None:
    """Draw a table as colored squares with their numbers; bright is good, white is missing."""
    image = axes.imshow(table.to_numpy(dtype=float), cmap=colors, aspect="auto")
    axes.set_xticks(range(table.shape[1]), table.columns, rotation=40, ha="right")
    axes.set_yticks(range(table.shape[0]), table.index)
    axes.set_title(title, fontsize=10)
    axes.spines[:].set_visible(False)
    for row, values in enumerate(table.to_numpy(dtype=float)):
        for column, value in enumerate(values):
            if pd.isna(value):
                axes.text(column, row, "–", ha="center", va="center", color="0.4")
                continue
            red, green, blue, _ = image.cmap(image.norm(value))
            ink = "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"
            axes.text(column, row, f"{value:.3g}", ha="center", va="center", color=ink, fontsize=8)
