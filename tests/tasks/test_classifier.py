"""Which models a recipe can name, and with which options."""

import pytest
import torch

from vig_pyg.tasks.classifier import load_published
from vig_pyg.train import ClassificationRecipe, build_model


def built(model, **said):
    return build_model(ClassificationRecipe(data="digits", model=model, **said), 10, channels=1).eval()


@pytest.mark.parametrize(
    ("model", "said", "side"),
    [
        ("repghostnet_050", {}, 32),  # knows neither a size nor stochastic depth
        ("resnet10t", {"image_size": 48}, 48),
        ("resnet10t", {"drop_path": 0.1}, 32),
        ("convnext_atto", {"image_size": 32}, 32),
        ("vit_tiny_patch16_224", {"image_size": 32}, 32),
        ("vit_tiny_patch16_224", {"model_options": {"img_size": 48}}, 48),
        ("vig_micro", {"image_size": 48}, 48),
    ],
)
def test_any_model_of_timm_takes_the_size_of_the_images(model, said, side):
    assert built(model, **said)(torch.zeros(2, 1, side, side)).shape == (2, 10)


def test_the_rate_of_stochastic_depth_stays_where_it_is_known():
    assert built("vig_micro", drop_path=0.3).blocks[-1].ffn.drop_path.drop_prob == pytest.approx(0.3)
    assert built("vig_micro").blocks[-1].ffn.drop_path.drop_prob == pytest.approx(0.1)
    assert built("resnet10t", drop_path=0.3).layer4[-1].drop_path.drop_prob == 0.3


@pytest.mark.parametrize(
    ("model", "said", "sentence"),
    [
        ("repghostnet_050", {"drop_path": 0.2}, "repghostnet_050 does not take these options: .*'drop_path_rate'"),
        ("resnet10t", {"conv": "edge"}, "resnet10t does not take these options: .*'conv'"),
        ("resnet10t", {"model_options": {"img_size": 48}}, "resnet10t does not take these options: .*'img_size'"),
        ("resnet10t", {"model_options": {"block": 3}}, "resnet10t does not take these options: 'int' object"),
        ("vit_tiny_patch16_224", {}, "vit_tiny_patch16_224 takes images of one size .*: add image_size=32"),
        ("vig_micro", {"model_options": {"global_pool": ""}}, "global_pool must name a pooling, got ''"),
        ("vig_micro.nowhere", {}, "there is no model called 'vig_micro.nowhere'"),
        (
            "vig_micro",
            {"conv": "gin", "model_options": {"conv": "edge"}},
            "the recipe says 'gin' and model_options.conv 'edge': leave one out",
        ),
        (
            "vig_micro",
            {"drop_path": 0.1, "model_options": {"drop_path_rate": 0.2}},
            "the recipe says 0.1 and model_options.drop_path_rate 0.2: leave one out",
        ),
        *(
            ("vig_micro", {"model_options": {name: value}}, f"^model_options.{name} is no option of the architecture")
            for name, value in {
                "pretrained": True,
                "pretrained_cfg": "in1k",
                "pretrained_cfg_overlay": {"file": "weights.pth"},
                "checkpoint_path": "weights.pth",
                "cache_dir": "cache",
                "num_classes": 7,
                "in_chans": 5,
                "features_only": True,
                "device": "meta",
                "dtype": "float32",
            }.items()
        ),
    ],
)
def test_what_would_be_ignored_or_does_not_fit_is_refused(model, said, sentence):
    with pytest.raises(ValueError, match=sentence):
        built(model, **said)


def test_only_published_weights_are_loaded_as_such():
    with pytest.raises(ValueError, match=r"no weights of vig_micro\.untrained were published: leave out --pretrained"):
        load_published("vig_micro.untrained")
    with pytest.raises(ValueError, match="did you mean vig_tiny"):
        load_published("vig_tny")
