"""Which batch norms are synchronized; that two processes then learn as one is shown in test_resume."""

import pytest
import timm
import torch
from torch import nn

from vig_pyg.train.sync import SyncBatchNorm, synchronize_batch_norm


def test_all_norms_of_nodes_are_synchronized_on_the_cpu():
    model = timm.create_model("pvig_micro")
    count = sum(isinstance(layer, nn.BatchNorm1d) for layer in model.modules())
    synchronized = synchronize_batch_norm(model, torch.device("cpu"))
    assert sum(type(layer) is SyncBatchNorm for layer in synchronized.modules()) == count > 10


def test_norms_of_maps_are_refused_on_the_cpu():
    with pytest.raises(ValueError, match="sync_batch_norm needs CUDA for bn1, a BatchNorm2d"):
        synchronize_batch_norm(timm.create_model("resnet18"), torch.device("cpu"))


def test_timms_norms_keep_their_activation_on_cuda():
    model = timm.create_model("efficientnet_b0")
    before = [type(layer.act) for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    after = [type(x.act) for x in synchronize_batch_norm(model, torch.device("cuda")).modules() if hasattr(x, "act")]
    assert nn.SiLU in before and [kind for kind in after if kind in before] == before
