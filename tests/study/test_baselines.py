import pytest
import timm
import torch
from torch import nn

from tests.study.test_tables import COST
from vig_pyg.models.names import is_ours
from vig_pyg.models.vision_gnn import VisionGNN
from vig_pyg.study.baselines import Baseline, baselines, folded
from vig_pyg.study.tables import models_frame


def test_published_accuracies_are_beside_their_source() -> None:
    found = models_frame(baselines(), {model.name: COST for model in baselines()})
    assert found.loc["pvig_small", "published ImageNet top-1 (%)"] == 82.1
    assert found.loc["greedyvig_base", "published ImageNet top-1 (%)"] == 83.9
    assert all(found["source"]) and len(found) == len(baselines())
    unknown = found[found["published ImageNet top-1 (%)"].isna()]
    assert set(unknown["source"]) == {"not known here"} and "adaptvig_small" in unknown.index


def test_every_baseline_is_a_model_that_timm_knows() -> None:
    with torch.device("meta"):
        classes = {model.name: model.build().num_classes for model in baselines()}
    assert set(classes.values()) == {1000} and len(classes) == len(baselines())


def test_every_family_of_ours_is_there_with_all_sizes() -> None:
    ours = [name for name in timm.list_models() if is_ours(name) and "micro" not in name]
    assert set(ours) <= {model.name for model in baselines()} and len(ours) >= 21


def test_models_that_are_asked_for_are_measured_published_or_not() -> None:
    first, second = baselines(["mobilevig_tiny", "resnet18"])
    assert (first.family, first.top1) == ("MobileViG", 75.7)
    assert second == Baseline("resnet18", "resnet18", None, "not known here")
    with pytest.raises(ValueError, match="did you mean vig_tiny"):
        baselines(["vig_tny"])


def test_ours_are_folded_and_others_are_as_they_are() -> None:
    other, own = nn.BatchNorm2d(3), timm.create_model("vig_micro")
    assert folded(other) is other and isinstance(own, VisionGNN)
    norms = [sum(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in m.modules()) for m in (own, folded(own))]
    assert norms[0] > norms[1] == 0
