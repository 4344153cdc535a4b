import torch

from tests.study.test_tables import COST
from vig_pyg.study.baselines import BASELINES
from vig_pyg.study.tables import models_frame


def test_published_accuracies_are_beside_their_source() -> None:
    found = models_frame(BASELINES, {model.name: COST for model in BASELINES})
    assert found.loc["pvig_small", "published ImageNet top-1 (%)"] == 82.1
    assert all(found["source"]) and len(found) == 20


def test_every_baseline_is_a_model_that_timm_knows() -> None:
    with torch.device("meta"):
        classes = {model.name: model.build().num_classes for model in BASELINES}
    assert set(classes.values()) == {1000} and len(classes) == len(BASELINES)
