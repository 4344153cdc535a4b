"""Comparisons that train nothing."""

import timm
import torch

from vig_pyg.study import count_macs, count_parameters, untrained
from vig_pyg.study.studies import Line, Row
from vig_pyg.study.trials import Trial
from vig_pyg.study.untrained import compare_blocks, compare_models
from vig_pyg.tasks import ClassificationRecipe


def test_models_are_counted_whole_and_measured_folded(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(untrained, "LARGE_BATCH", 1)
    found = compare_models(["mobilevig_tiny", "resnet18"], tmp_path, "cpu")
    for name in ("mobilevig_tiny", "resnet18"):
        model = timm.create_model(name)
        assert found.frame.loc[name, "parameters (M)"] == count_parameters(model) / 1e6
        assert found.frame.loc[name, "GMACs"] == count_macs(model, torch.zeros(1, 3, 224, 224)) / 1e9
    assert found.frame["published ImageNet top-1 (%)"].to_list()[0] == 75.7 and (tmp_path / "models.png").is_file()


def test_the_blocks_of_a_study_are_its_graphs_once_each(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(untrained, "SIZES", ((64, 64), (64, 96)))
    rows = [Row("knn, gin", {"graph": "knn"}), Row("knn dilated, gin", {"graph": "knn", "dilation": 2})]
    rows += [
        Row("knn drawn, gin", {"graph": "knn", "dilation": 2, "stochastic": True}),
        Row("axial, gin", {"graph": "axial"}),
    ]
    lines = [Line(row, [Trial(ClassificationRecipe(conv="gin"))], suffix=", gin") for row in rows]
    found = compare_blocks(lines, tmp_path, "cpu")
    assert list(found.frame.index) == ["knn", "knn dilated", "axial"] and "operator gin" in found.note
    assert found.frame.loc["axial", "64×96: edges per node"] == 3 and (tmp_path / "graph-costs.png").is_file()
