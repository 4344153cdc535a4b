"""Graphs to be looked at in a browser: one page that needs no other file and no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from torch import Tensor
from torch_geometric.data import Data
from torchvision.transforms.functional import to_pil_image

from vig_pyg.study.views import View, source_grid


def graph_page(views: Sequence[View], blocks: Sequence[int] = (), place: tuple[float, float] = (0.5, 0.5)) -> str:
    """Return an HTML page on which pointing at a patch lights its neighbors, in ``blocks`` or in all, counted from 1.

    Views of one image are side by side; where there are several images, one is chosen. The node that is lit first is
    at ``place``, shares ``(down, right)`` of an image's height and width.
    """
    depth = max(len(view.graphs) for view in views)
    return render(
        "graphs.html",
        views=views,
        sources=list(dict.fromkeys(view.source for view in views)),
        graphs=[[_numbers(graph) for graph in view.graphs] for view in views],
        blocks=list(blocks or range(1, depth + 1)),
        place=place,
    )


def _numbers(graph: Data) -> dict[str, Any]:
    """Return a graph's grids, or rows and columns of sources that are none, and every node's neighbors with distances.

    Both are in the order of the graph, and so are weights of edges, if any. Of a hypergraph there are the nodes of
    every hyperedge, too.
    """
    degrees = graph.edge_index[1].bincount(minlength=graph.num_nodes).tolist()
    sources, more = None if "members" in graph else source_grid(graph), {}
    if "edge_weight" in graph:
        more["weights"] = [[float(f"{w:.3g}") for w in part.tolist()] for part in graph.edge_weight.split(degrees)]
    if "members" in graph:
        node, hyperedge = graph.members
        more["members"] = [node[hyperedge == number].tolist() for number in range(len(graph.pos_source))]
    return more | {
        "grid": graph.grid[0].tolist(),
        "sources": sources,
        "places": None if sources else (graph.pos_source / (2 * graph.pos[0]) - 0.5).flip(1).tolist(),
        "neighbors": [part.tolist() for part in graph.edge_index[0].split(degrees)],
        "distances": [[round(d, 3) for d in part.tolist()] for part in graph.edge_attr[:, 0].split(degrees)],
    }


def render(template: str, **content: Any) -> str:
    """Return a page from a template."""
    pages = Environment(loader=PackageLoader("vig_pyg.study"), autoescape=True)
    pages.filters["embed"] = embed
    return pages.get_template(template).render(content)


def embed(picture: Path | Tensor) -> str:
    """Return a PNG file, or an image ``[C, H, W]`` with values from 0 to 1 as PNG, as an address that holds it all."""
    if isinstance(picture, Path):
        content = picture.read_bytes()
    else:
        file = io.BytesIO()
        to_pil_image(picture).save(file, "PNG")
        content = file.getvalue()
    return "data:image/png;base64," + base64.b64encode(content).decode()
