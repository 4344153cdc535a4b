import pytest
import timm
import torch

import vig_pyg
from benchmarks.dense_baseline import DenseViG


@pytest.mark.parametrize("conv", ["max_relative", "edge", "gin", "sage"])
@pytest.mark.parametrize("pyramid", [False, True])
def test_the_baseline_computes_what_ours_does(conv: str, pyramid: bool) -> None:
    torch.manual_seed(0)
    baseline = DenseViG(conv, pyramid, num_classes=10).double()
    ours = timm.create_model("pvig_tiny" if pyramid else "vig_tiny", conv=conv, num_classes=10).double()
    vig_pyg.load_checkpoint(ours, baseline.state_dict())
    images = torch.randn(2, 3, 224, 224, dtype=torch.double)
    with torch.no_grad():
        expected, logits = baseline.train()(images), ours.train()(images)  # batch statistics, over edges too
        torch.testing.assert_close(logits, expected, rtol=1e-7, atol=1e-7 * expected.abs().max().item())
        expected, logits = baseline.eval()(images), ours.eval()(images)
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9 * expected.abs().max().item())
