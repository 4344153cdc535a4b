"""Nodes without a grid, learned in minutes: superpixels of digits and point clouds, beside PyG's own layers.

``python -m benchmarks.superpixels``: held-out accuracy over seeds, and the seconds that a training takes.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric import nn as pyg
from torch_geometric.data import Data

from benchmarks.measure import save
from vig_pyg.data.graph_sets import GraphData, load_graphs
from vig_pyg.graph import PointLayout, sincos_embedding
from vig_pyg.tasks import get_task, read_recipe
from vig_pyg.train import fit

WIDTH, DEPTH, SINES = 64, 4, 16
OURS = {"max_relative": {}, "edge": {"conv": "edge"}}


class PygNet(nn.Module):
    """Layers of PyG's on the edges of the data, with norms, activations and residuals; features and places as ours."""

    def __init__(self, layer: Callable[[int], nn.Module], data: GraphData) -> None:
        super().__init__()
        self.stem = nn.Linear(data.channels + SINES * data.pos_dim, WIDTH)
        self.layers = nn.ModuleList(layer(WIDTH) for _ in range(DEPTH))
        self.norms = nn.ModuleList(pyg.BatchNorm(WIDTH) for _ in range(DEPTH))
        self.head = nn.Sequential(nn.Linear(2 * WIDTH, 128), nn.GELU(), nn.Linear(128, len(data.classes)))

    def forward(self, batch: Data) -> Tensor:
        """Return the logits of graphs."""
        places = PointLayout(batch.batch, batch.pos).places()
        x = self.stem(torch.cat([batch.x, sincos_embedding(places, SINES * places.size(1)).to(batch.x)], dim=1))
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = x + norm(self._passed(layer, x, batch)).relu()
        return self.head(torch.cat([pyg.global_mean_pool(x, batch.batch), pyg.global_max_pool(x, batch.batch)], dim=1))

    def _passed(self, layer: nn.Module, x: Tensor, batch: Data) -> Tensor:
        if isinstance(layer, pyg.GMMConv):  # asks where neighbors are, as SplineConv does
            apart = batch.pos[batch.edge_index[0]] - batch.pos[batch.edge_index[1]]
            return layer(x, batch.edge_index, apart)
        return layer(x, batch.edge_index)


def edge_conv(width: int) -> nn.Module:
    """Return PyG's EdgeConv with one layer."""
    return pyg.EdgeConv(nn.Sequential(nn.Linear(2 * width, width), nn.ReLU()))


PYG: dict[str, Callable[[int], nn.Module]] = {
    "PyG GCNConv": lambda width: pyg.GCNConv(width, width),
    "PyG GATConv": lambda width: pyg.GATConv(width, width // 4, heads=4),
    "PyG EdgeConv": edge_conv,
    "PyG GMMConv": lambda width: pyg.GMMConv(width, width, dim=2, kernel_size=9),
}


def train(model: nn.Module, data: GraphData, recipe: Any) -> tuple[dict[str, float], float]:
    """Return what a training measured at its end, and its seconds."""
    start = time.perf_counter()
    history = fit(model, get_task("graphs")(data, recipe), recipe)
    return history[-1].measured, time.perf_counter() - start


def compare(name: str, data: GraphData, seeds: int, rivals: bool, changes: list[str]) -> dict[str, Any]:
    """Train ours, and PyG's layers where these are given edges, from every seed."""
    task, results = get_task("graphs"), {}
    recipe = read_recipe("points" if name.startswith("shapes") else "superpixels", [f"data={name}", *changes])
    for title in [*OURS, *(PYG if rivals else ())]:
        runs = []
        for seed in range(seeds):
            torch.manual_seed(seed)
            chosen = replace(recipe, seed=seed, **OURS.get(title, {}))
            model = task.build_model(chosen, data) if title in OURS else PygNet(PYG[title], data)
            measured, seconds = train(model, data, chosen)
            runs.append({"seconds": round(seconds), **{key: round(100 * v, 2) for key, v in measured.items()}})
            print(f"{name:20s} {title:14s} seed {seed}", json.dumps(runs[-1]), flush=True)
        results[title] = runs
    return results


def main() -> None:
    """Train on every data set and save what was reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", default=["digits-superpixels", "shapes", "shapes-parts"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--changes", nargs="*", default=[], help="of the recipe, key=value")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name in args.data:
        found = compare(name, load_graphs(name), args.seeds, name == "digits-superpixels", args.changes)
        save(args.out / f"nodes-{name}-cpu.json", found)


if __name__ == "__main__":
    main()
