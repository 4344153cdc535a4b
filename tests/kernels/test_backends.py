"""Which library reduces neighborhoods: what was measured to win, and nothing that cannot."""

import pytest
import torch

from vig_pyg.kernels.backends import choose_reduction, chosen


def test_auto_takes_kernels_on_cuda_for_lists_that_they_can_reduce(monkeypatch):
    monkeypatch.setattr("vig_pyg.kernels.backends.HAS_TRITON", True)
    assert choose_reduction("extremum", 64, 254, "cuda") == choose_reduction("sum", 64, 255, "cuda") == "triton"
    assert choose_reduction("extremum", 64, 255, "cuda") == "native"
    monkeypatch.setattr("vig_pyg.kernels.backends.HAS_TRITON", False)
    assert choose_reduction("extremum", 64, 18, "cuda") == "native"


def test_auto_takes_torch_scatter_where_it_was_measured_to_win(monkeypatch):
    assert choose_reduction("extremum", 4, 18) == choose_reduction("sum", 4) == "native"
    assert choose_reduction("softmax", 4, 18) == "torch_scatter"
    assert choose_reduction("softmax", 8, 18) == "native"
    monkeypatch.setattr("vig_pyg.kernels.backends.WITH_TORCH_SCATTER", False)
    assert choose_reduction("softmax", 4, 18) == "native"


def test_what_is_asked_for_is_taken_or_refused(monkeypatch):
    x = torch.zeros(3, 4)
    assert chosen("torch_scatter", "sum", x) == "torch_scatter" and chosen("auto", "sum", x) == "native"
    with pytest.raises(ValueError, match="backend must be one of auto, native, triton, torch_scatter, got 'cub'"):
        chosen("cub", "sum", x)
