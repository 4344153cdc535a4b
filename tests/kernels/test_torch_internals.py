"""What is used of torch beyond its documented interface is there, and means what we take it for."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.graph import disable_saved_tensors_hooks, saved_tensors_hooks

from tests.seen import check_seen
from vig_pyg.kernels.torch_internals import (
    FORWARD_HOOKS,
    SEEN,
    base_of,
    batch_statistics,
    conv_gelu,
    is_watched,
    linear_gelu,
    linear_pointwise,
    packed_weight,
    saves_without_hooks,
    sparse_extremum,
    version_of,
)


def test_this_version_of_torch_was_looked_at():
    check_seen("torch", SEEN, "vig_pyg/kernels/torch_internals.py")


def test_another_version_is_named():
    with pytest.raises(AssertionError, match=r"was seen to work with torch<2, but .* is installed: look whether"):
        check_seen("torch", "<2", "vig_pyg/kernels/torch_internals.py")


@pytest.mark.parametrize("kind", ["forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook"])
def test_hooks_are_noticed(kind):
    module, other = nn.Identity(), nn.Identity()
    assert not is_watched(module, other)
    handle = getattr(other, f"register_{kind}")(lambda *_: None)
    assert is_watched(module, other)
    assert is_watched(other, by=FORWARD_HOOKS) == kind.startswith("forward")
    handle.remove()
    assert not is_watched(module, other)


def test_a_view_knows_its_base_and_every_tensor_its_version():
    x = torch.zeros(4, 2)
    assert base_of(x) is None and base_of(x.view(8)[1:].view(7, 1)) is x
    before = version_of(x)
    x.view(8).add_(1)
    assert version_of(x) > before


def test_hooks_on_saved_tensors_are_noticed():
    assert saves_without_hooks()
    with saved_tensors_hooks(lambda x: x, lambda x: x):
        assert not saves_without_hooks()
    with disable_saved_tensors_hooks("not here"):
        assert not saves_without_hooks()
    assert saves_without_hooks()


@pytest.mark.parametrize("device", ["cpu", *["cuda"] * torch.cuda.is_available()])
def test_the_statistics_of_a_batch_norm_are_those_of_the_batch(device):
    x = torch.randn(50, 3, device=device, requires_grad=True)
    mean, scale = batch_statistics(nn.BatchNorm1d(3, eps=0.5, device=device)(x))
    torch.testing.assert_close(mean, x.mean(0))
    torch.testing.assert_close(scale, (x.var(0, correction=0) + 0.5).rsqrt())
    assert batch_statistics(x + 1) is None and batch_statistics(x.detach()) is None


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@torch.no_grad()
def test_onednn_joins_gelu_to_maps():
    x, weight, bias = torch.randn(5, 4), torch.randn(3, 4), torch.randn(3)
    torch.testing.assert_close(linear_gelu(x, weight, bias), F.gelu(F.linear(x, weight, bias)))
    conv, maps = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), torch.randn(2, 4, 7, 8)
    torch.testing.assert_close(conv_gelu(maps, conv), F.gelu(conv(maps)))


@pytest.mark.parametrize("kind", ["amax", "amin"])
def test_the_entry_that_an_extremum_is_from_is_known(kind):
    x, columns = torch.randn(6, 4), torch.tensor([5, 1, 3, 0, 2])
    matrix = torch.sparse_csr_tensor(torch.tensor([0, 2, 2, 5]), columns, torch.ones(5), (3, 6))
    out, entry = sparse_extremum(matrix, x, kind)
    for row, entries in ((0, range(2)), (2, range(2, 5))):
        values = x[columns[entries.start : entries.stop]]
        torch.testing.assert_close(out[row], getattr(values, kind)(0))
        assert torch.equal(entry[row], getattr(values, kind.replace("a", "arg", 1))(0) + entries.start)
    assert (entry[1] >= len(columns)).all() and not out.requires_grad


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@pytest.mark.parametrize("rows", [1, 6, 30])
@torch.no_grad()
def test_a_packed_weight_serves_any_number_of_rows(rows):
    x, weight = torch.randn(rows, 20), torch.randn(50, 20)
    torch.testing.assert_close(linear_pointwise(x, packed_weight(weight, 6), None), x @ weight.T)
