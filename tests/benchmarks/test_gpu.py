"""What needs a card is tried on the CPU as far as it goes: the plan, small rows, and that wrong kernels are found."""

import time

import pytest
import torch

from benchmarks import gpu, gpu_kernels
from benchmarks.gpu_kernels import Shape, Wrong


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_it_says_so(capsys) -> None:
    assert gpu.main([]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "CUDA" in said.err


def test_the_plan_has_every_row_once_and_what_was_promised_first() -> None:
    rows = gpu.plan()
    assert len(set(rows)) == len(rows) == 2 * 3 * (3 + 2) * 2
    assert [row.compiled for row in rows] == [False] * 30 + [True] * 30
    assert all(row.precision == "bf16" and row.batch == 128 for row in (*rows[:4], *rows[30:34]))
    assert str(rows[0]) == "vig_tiny, inference, bf16, batch 128, eager"


def test_a_row_of_a_model_is_measured_and_those_after_the_time_are_not() -> None:
    rows = [gpu.Row("vig_tiny", False, "bf16", 1, False), gpu.Row("vig_tiny", True, "float32", 2, False)]
    found = gpu.measure_models(rows[:1], 1, "cpu", time.monotonic() + 60)
    times = found[str(rows[0])]
    assert times["dense"]["times as fast"] == 1 and times["fused"]["ms"] > 0 and times["deit_tiny"]["ms"] > 0
    assert gpu.measure_models(rows[1:], 1, "cpu", time.monotonic() - 1) == {str(rows[1]): gpu.NOT_MEASURED}


def test_a_contender_that_fails_is_named_and_the_others_are_measured(monkeypatch) -> None:
    class Broken(torch.nn.Module):
        def forward(self, images):
            raise RuntimeError("no kernel for this card\nand more")

    pool = torch.nn.AdaptiveAvgPool2d(1)
    monkeypatch.setattr(gpu, "model_contenders", lambda *_: {"ours": pool, "textbook": Broken()})
    found = gpu.measured(gpu.Row("vig_tiny", False, "float32", 2, False), 1, "cpu")
    assert found["textbook"] == "RuntimeError: no kernel for this card" and found["ours"]["ms"] >= 0


def test_precisions_are_set_and_put_back() -> None:
    before = torch.backends.cudnn.allow_tf32
    with gpu.computing_in("tf32", "cpu"):
        assert torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32
    with gpu.computing_in("float32", "cpu"):
        assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32
    with gpu.computing_in("bf16", "cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    assert torch.backends.cudnn.allow_tf32 == before and not torch.is_autocast_enabled("cpu")


def test_every_kernel_is_checked_and_measured() -> None:
    rows, choices = gpu_kernels.measure(1, "cpu", {"small": Shape(2, 16, 16, 8, 3)})
    names = ("max", "max, backward", "sum", "sum, backward", "weighted max", "distances of shifts")
    expected = {f"{name}, small, {dtype}" for name in names for dtype in ("float32", "bfloat16")}
    assert set(rows) == expected | {"search, small"} and choices["search, small"]["auto"] == "dense"
    assert all(row["ms"] > 0 and row["limit / ms"] >= 0 for found in rows.values() for row in found.values())


@pytest.mark.parametrize("kernel", ["neighbor_max", "neighbor_sum", "weighted_max", "distances", "nearest_blockwise"])
def test_a_wrong_kernel_is_found(kernel: str, monkeypatch) -> None:
    right = getattr(gpu_kernels, kernel)
    monkeypatch.setattr(gpu_kernels, kernel, lambda *args, **options: right(*args, **options).flip(0))
    with pytest.raises(Wrong, match="look at the kernel first"):
        gpu_kernels.measure(1, "cpu", {"small": Shape(2, 16, 16, 8, 3)})
