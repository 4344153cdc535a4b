import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.test_reduce import distinct_values, drawn, each_backend
from vig_pyg.kernels import neighbor_softmax


@each_backend
@pytest.mark.parametrize("channels", [3, 20])
@drawn
@given(degrees=st.lists(st.integers(0, 6), min_size=1, max_size=7), seed=st.integers(0, 99))
def test_softmax_is_that_of_every_list_and_so_is_its_gradient(backend, channels, degrees, seed):
    values = (distinct_values(seed, sum(degrees), channels) / channels).requires_grad_()
    ptr = torch.tensor([0, *degrees]).cumsum(0)
    out = neighbor_softmax(values, ptr, max(degrees), backend=backend)
    expected = torch.cat([part.softmax(0) for part in values.split(degrees)])
    torch.testing.assert_close(out, expected)
    cotangent = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(seed))
    ours, theirs = (torch.autograd.grad(o, values, cotangent, retain_graph=True)[0] for o in (out, expected))
    torch.testing.assert_close(ours, theirs)


@each_backend
def test_softmax_does_not_overflow_and_takes_masked_edges(backend):
    values = torch.tensor([[1000.0], [1000.0], [-torch.inf], [-1000.0]])
    out = neighbor_softmax(values, torch.tensor([0, 3, 3, 4]), 3, backend=backend)
    assert out.flatten().tolist() == [0.5, 0.5, 0, 1]


def test_without_torch_scatter_softmax_does_without(monkeypatch):
    monkeypatch.setattr("vig_pyg.kernels.backends.WITH_TORCH_SCATTER", False)
    monkeypatch.setitem(sys.modules, "torch_scatter", None)
    values = distinct_values(0)
    torch.testing.assert_close(neighbor_softmax(values, torch.tensor([0, 6]), 6), values.softmax(0))


def test_softmax_is_exported_as_operations_of_torch_alone():
    class Softmax(torch.nn.Module):
        def forward(self, values, ptr):
            return neighbor_softmax(values, ptr, 3)

    values, ptr = distinct_values(0), torch.tensor([0, 2, 3, 6])
    program = torch.export.export(Softmax(), (values, ptr))
    assert "vig_pyg" not in str(program.graph)
    torch.testing.assert_close(program.module()(values, ptr), neighbor_softmax(values, ptr, 3))
