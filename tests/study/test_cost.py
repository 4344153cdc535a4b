from functools import partial

import pytest
import timm
import torch
from torch import nn
from torch_geometric.data import Batch, Data

import vig_pyg
from vig_pyg.study import cost, count_macs, count_parameters, milliseconds_per_image
from vig_pyg.study.cost import measure_costs, without_computing

MAPS = {"gcn": 1, "graph": 2, "resgated": 4, "transformer": 4}  # of every node, in PyG's operators


def test_a_linear_layer_costs_what_it_multiplies() -> None:
    assert count_macs(nn.Linear(12, 5), torch.randn(3, 12)) == 60


def test_counting_leaves_the_mode_as_it_was() -> None:
    model = nn.Linear(2, 2).train()
    count_macs(model, torch.randn(1, 2))
    assert model.training


def test_only_trainable_parameters_count() -> None:
    model = nn.Linear(12, 5)
    model.bias.requires_grad_(False)
    assert count_parameters(model) == 60


def test_every_model_gets_a_time() -> None:
    times = milliseconds_per_image({"one": nn.Linear(8, 8), "two": nn.Linear(8, 8)}, torch.randn(4, 8), rounds=2)
    assert list(times) == ["one", "two"] and min(times.values()) > 0


def micro(conv: str) -> nn.Module:
    return timm.create_model("vig_micro", conv=conv, in_chans=1, num_classes=10)


@pytest.mark.parametrize("conv", vig_pyg.list_convs())
def test_every_operator_is_counted_as_if_it_computed(conv) -> None:
    image = torch.randn(1, 1, 16, 16)
    assert without_computing(count_macs, partial(micro, conv), image) == count_macs(micro(conv), image)


def test_an_operator_costs_what_its_linear_maps_do() -> None:
    macs = {conv: without_computing(count_macs, partial(micro, conv), torch.randn(1, 1, 16, 16)) for conv in MAPS}
    one = 4 * 16 * 48 * 96  # blocks, nodes, channels in and out
    assert {conv: count - macs["gcn"] for conv, count in macs.items()} == {c: (n - 1) * one for c, n in MAPS.items()}


MACHINE = {"date": "today", "processor": "one", "gpu": None, "versions": {"torch": "2.0"}}


def count(monkeypatch, folder, **changes) -> int:
    """Return how many models are measured on a machine."""
    built = []
    monkeypatch.setattr(cost, "describe_machine", lambda: MACHINE | changes)
    monkeypatch.setattr(cost, "peak_megabytes", lambda model, images: built.append(model) or 1.0)
    costs = measure_costs(folder, {"linear": lambda: nn.Linear(3, 5)}, torch.zeros(2, 3))
    assert (costs["linear"].parameters, costs["linear"].macs) == (20, 15)
    return len(built)


def test_every_machine_measures_once(tmp_path, monkeypatch) -> None:
    assert count(monkeypatch, tmp_path) == 1
    assert count(monkeypatch, tmp_path, date="tomorrow") == 0
    assert count(monkeypatch, tmp_path, processor="another") == 1
    assert count(monkeypatch, tmp_path, gpu="a GPU") == 1
    assert count(monkeypatch, tmp_path, versions={"torch": "2.1"}) == 1
    assert count(monkeypatch, tmp_path) == 0
    for file in tmp_path.glob("*.json"):
        file.write_text(file.read_text().replace("20", "21"))
    assert count(monkeypatch, tmp_path) == 1  # damaged costs are measured again


def test_graphs_cost_as_much_as_they_do_alone_on_average():
    clouds = [Data(pos=torch.rand(count, 2)) for count in (30, 80, 40)]
    model = timm.create_model("vig_micro", stem="nodes", in_chans=2, num_classes=3).eval()
    alone = [count_macs(model, Batch.from_data_list([cloud])) for cloud in clouds]
    assert len(set(alone)) == 3
    assert count_macs(model, Batch.from_data_list(clouds)) == pytest.approx(sum(alone) / 3, rel=1e-6)


def test_a_batch_that_is_measured_stays_where_it_was(tmp_path):
    batch = Batch.from_data_list([Data(pos=torch.rand(count, 2)) for count in (30, 50)])
    build = partial(timm.create_model, "vig_micro", stem="nodes", in_chans=2, num_classes=3)
    cost = measure_costs(tmp_path, {"vig_micro": build}, batch)["vig_micro"]
    assert batch.pos.device.type == "cpu" and cost.macs == count_macs(build(), batch)
    assert measure_costs(tmp_path, {"vig_micro": build}, batch)["vig_micro"] == cost  # read
    measure_costs(tmp_path, {"vig_micro": build}, Batch.from_data_list([batch[0], batch[0]]))
    assert len(list(tmp_path.glob("*.json"))) == 2  # other graphs are another measurement
