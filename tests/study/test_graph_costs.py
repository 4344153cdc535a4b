"""What graphs and operators cost, against counts by hand."""

import time

import pytest
import timm
import torch
from torch import nn
from torch_geometric.data import Batch, Data

import vig_pyg
from vig_pyg.graph import Edges
from vig_pyg.study import count_macs, graph_costs
from vig_pyg.study.graph_costs import (
    BlockCost,
    count_edges,
    count_part_macs,
    edges_per_node,
    measure_blocks,
    measure_graph_costs,
    part_milliseconds,
    photograph,
)

DEGREES = {"knn": 9, "grid": 9, "random": 9, "axial": 6, "cross": 4, "complete": 64}  # of 8×8 nodes


def micro(**options) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("vig_micro", in_chans=1, num_classes=10, **options).eval()


@pytest.mark.parametrize(("graph", "degree"), DEGREES.items())
def test_edges_per_node_are_those_of_the_definition(graph, degree) -> None:
    assert edges_per_node(micro(graph=graph), torch.randn(3, 1, 32, 32)) == degree


def test_edges_of_varying_degree_are_those_that_the_model_used() -> None:
    model, images = micro(graph="greedy"), torch.randn(3, 1, 32, 32)
    used = [graph.edge_index.size(1) / graph.num_nodes for graph in model.forward_graphs(images)[1]]
    assert edges_per_node(model, images) == pytest.approx(sum(used) / len(used))
    assert len(set(used)) > 1


def test_the_edges_of_a_hypergraph_are_those_to_its_hyperedges_too() -> None:
    into, out = torch.tensor([[0, 1, 2], [0, 0, 1]]), torch.tensor([[0, 0, 1, 1], [0, 1, 1, 2]])
    assert count_edges(Edges(out, sources=torch.zeros(2, 4), members=into)) == 7
    assert count_edges(out) == 4


def test_products_of_choosing_and_passing_are_counted_by_hand() -> None:
    images = torch.randn(2, 1, 32, 32)
    choosing, passing = count_part_macs(micro(), images)
    assert choosing == 4 * 64 * 64 * 48  # blocks, nodes, nodes, channels
    assert passing == 4 * 64 * 2 * 48 * 96 / 4  # blocks, nodes, what comes in and goes out, heads
    assert count_part_macs(micro(graph="static"), images)[0] == choosing / 4  # chosen once
    assert count_part_macs(micro(graph="axial"), images) == (0, passing)
    assert count_macs(micro(), images) - count_macs(micro(graph="axial"), images) == choosing


class Slow(vig_pyg.graph.Graph):
    def forward(self, x, layout):
        time.sleep(0.02)
        return torch.arange(len(x)).expand(2, -1)


def test_time_goes_to_the_part_that_takes_it() -> None:
    calls = {
        "slow": (micro(graph=Slow()), (torch.randn(1, 1, 32, 32),)),
        "axial": (micro(graph="axial"), (torch.randn(1, 1, 32, 32),)),
    }
    times = part_milliseconds(calls, torch.device("cpu"), rounds=3)
    assert times["slow"][0] >= 80 > times["slow"][1] > 0  # four blocks share one graph
    assert 0 < times["axial"][0] < 80
    assert not any(module._forward_hooks for module in calls["axial"][0].modules())


def test_costs_are_per_image_and_measured_once(tmp_path, monkeypatch) -> None:
    images = torch.randn(4, 1, 32, 32)
    found = measure_graph_costs(tmp_path, {"knn": micro}, images)["knn"]
    assert (found.edges, found.choosing_macs) == (9, 4 * 64 * 64 * 48) and found.choosing_ms > 0 < found.passing_ms
    monkeypatch.setattr(graph_costs, "part_milliseconds", None)
    assert measure_graph_costs(tmp_path, {"knn": micro}, images)["knn"] == found


def test_graphs_without_a_grid_have_costs_too(tmp_path) -> None:
    batch = Batch.from_data_list([Data(pos=torch.rand(count, 2)) for count in (30, 50)])
    model = timm.create_model("vig_micro", stem="nodes", in_chans=2, num_classes=3)
    found = measure_graph_costs(tmp_path, {"knn": lambda: model}, batch)["knn"]
    assert found.edges == 9 and found.choosing_macs == 4 * 48 * (30**2 + 50**2) / 2


def test_a_block_of_a_photograph_and_why_some_cannot_be(tmp_path) -> None:
    chosen = {"knn": ("knn", {}), "axial": ("axial", {}), "wide": ("knn", {"k": 10**4}), "gated": ("gated", {})}
    found = measure_blocks(tmp_path, chosen, "gat", (64, 96), "cpu")
    knn = found["knn"]
    assert isinstance(knn, BlockCost) and (knn.nodes, knn.edges) == (24, 9) and knn.megabytes > 24 * 192 * 4 / 2**20
    assert found["axial"].edges == 1 + 2  # of 4 rows and 6 columns, every second
    assert "k=10000 neighbors need at least 10000 nodes" in found["wide"]
    assert "the operator takes none" in found["gated"]
    assert measure_blocks(tmp_path, chosen, "gat", (64, 96), "cpu") == found  # read


def test_the_photograph_is_as_the_model_wants_it() -> None:
    image = photograph((80, 128))
    assert image.shape == (1, 3, 80, 128) and -1 <= image.min() < -0.5 < 0.5 < image.max() <= 1
