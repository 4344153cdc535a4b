import torch

from tests.reliability.fuzz import campaign
from vig_pyg.conv import max_relative


def test_random_graphs_agree_with_definitions_in_float64() -> None:
    counts, wrong = campaign(500)
    assert not wrong, "\n".join(wrong)
    assert counts["right"] + counts["beyond"] == counts["tried"] == 500
    assert counts["beyond"] <= 25


def test_a_reduction_that_is_slightly_wrong_is_found(monkeypatch) -> None:
    exact = max_relative.neighbor_max

    def off(*args, **options):
        out = exact(*args, **options)
        return torch.where(out > out.max(), out, out * 1.001)

    monkeypatch.setattr(max_relative, "neighbor_max", off)
    assert campaign(100)[0]["wrong"] > 0
