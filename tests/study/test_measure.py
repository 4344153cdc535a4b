import torch
from torch import nn

from vig_pyg.study import measure
from vig_pyg.study.measure import measure_costs

MACHINE = {"date": "today", "processor": "one", "gpu": None, "versions": {"torch": "2.0"}}


def count(monkeypatch, folder, **changes) -> int:
    """Return how many models are measured on a machine."""
    built = []
    monkeypatch.setattr(measure, "describe_machine", lambda: MACHINE | changes)
    monkeypatch.setattr(measure, "peak_megabytes", lambda model, images: built.append(model) or 1.0)
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
