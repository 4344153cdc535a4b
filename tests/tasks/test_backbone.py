"""What a recipe says of a backbone and its head reaches what builds them."""

from pathlib import Path

import pytest
from torch import nn

from vig_pyg.tasks.backbone import BackboneRecipe, BackboneTask, build_on_backbone, head_options


def build(*given, **options):
    """Keep what it is called with in a module."""
    built = nn.Identity()
    built.given, built.options = given, options
    return built


def test_all_that_a_recipe_says_is_handed_on():
    said = {"model": "vig_micro", "conv": "gin", "drop_path": 0.2, "frozen_stages": 1, "head_options": {"channels": 64}}
    built = build_on_backbone(build, BackboneRecipe(**said), 5, masks=True)
    assert built.given == ("vig_micro", 5)
    assert built.options == {
        "init": None,
        "frozen_stages": 1,
        "frozen_norm": False,
        "masks": True,
        "channels": 64,
        "backbone_options": {"conv": "gin", "drop_path_rate": 0.2},
    }


def test_only_ours_are_told_the_papers_stochastic_depth():
    rates = [build_on_backbone(build, BackboneRecipe(model=name), 5).options for name in ("vig_micro", "resnet18")]
    assert [options["backbone_options"] for options in rates] == [{"drop_path_rate": 0.1}, {}]
    assert head_options(BackboneRecipe(model="resnet18")) == {"backbone_options": {}}


@pytest.mark.parametrize("name", ["num_classes", "init", "frozen_norm", "masks"])
def test_what_is_said_elsewhere_is_no_option_of_the_head(name):
    with pytest.raises(ValueError, match=f"head_options.{name} is no option of the head"):
        build_on_backbone(build, BackboneRecipe(model="vig_micro", head_options={name: 1}), 5, masks=True)


def test_an_option_that_does_not_fit_is_one_sentence():
    def broken(*_, **__):
        raise KeyError("wings")

    with pytest.raises(ValueError, match="broken does not take these options: 'wings'"):
        build_on_backbone(broken, BackboneRecipe(model="vig_micro"), 5)
    with pytest.raises(ValueError, match="there is no model called 'vig_micr'"):
        build_on_backbone(build, BackboneRecipe(model="vig_micr"), 5)


def test_predictions_are_a_folder():
    assert BackboneTask.place(None) == Path("runs/predict") and BackboneTask.place(Path("mine")) == Path("mine")
