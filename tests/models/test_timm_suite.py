"""What timm's own tests ask of its models, asked of ours; those of torch.fx and TorchScript in test_ecosystem."""

import pytest
import timm
import torch
from timm.models import FeatureInfo

import vig_pyg  # noqa: F401 - registers the models

MOBILE = ["mobilevig_tiny", "mobilevigv2_tiny", "greedyvig_small", "adaptvig_small"]
NAMES = [*timm.list_models(["vig_*", "pvig_*"]), "wignet_tiny", *MOBILE]
# The larger ones differ from these in numbers only.
SMALL = ["vig_tiny", "vig_micro", "pvig_tiny", "pvig_micro", "wignet_tiny", *MOBILE]


def example(model_or_name, side, count=1):
    """Return images of the size that a model is made for, but no larger."""
    cfg = timm.get_pretrained_cfg(model_or_name) if isinstance(model_or_name, str) else model_or_name.pretrained_cfg
    channels, height, width = getattr(cfg, "input_size", None) or cfg["input_size"]
    torch.manual_seed(3)
    return torch.randn(count, channels, min(height, side), min(width, side))


def build(name, **options):
    torch.manual_seed(0)
    return timm.create_model(name, **options)


@pytest.mark.parametrize("name", SMALL)
def test_checkpointing_does_not_change_the_output(name):
    model, images = build(name).eval(), example(name, 384)
    plain = model(images)
    assert len(plain) == 1 and plain.isfinite().all()
    model.set_grad_checkpointing()
    torch.testing.assert_close(model(images), plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_gradient_of_its_size(name):
    model = build(name, num_classes=42).train()
    out = model(example(name, 96, 2))
    out.mean().backward()
    assert out.shape == (2, 42) and out.isfinite().all()
    assert [n for n, p in model.named_parameters() if p.grad is None or p.grad.shape != p.shape] == []


@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_the_configuration_agrees_with_the_model(name):
    model, cfg = build(name).eval(), timm.get_pretrained_cfg(name)
    images, state = example(name, 448), model.state_dict()
    assert model.num_classes >= 0 and model.num_features > 0 and model.head_hidden_size > 0
    classifiers = [cfg.classifier] if isinstance(cfg.classifier, str) else cfg.classifier
    assert all(f"{name}.weight" in state for name in (*classifiers, cfg.first_conv))
    features = model.forward_features(images)
    assert features.shape == (1, model.num_features, *cfg.pool_size)
    hidden = model.forward_head(features, pre_logits=True)
    assert hidden.shape == (1, model.head_hidden_size)
    model.reset_classifier(0)
    assert model.num_classes == 0
    torch.testing.assert_close(model(images), hidden)
    model.reset_classifier(0, "")
    torch.testing.assert_close(model(images), features)
    assert build(name, num_classes=0, global_pool="").eval()(images).shape == features.shape


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_a_model_of_no_classes_returns_pooled_features(name):
    model, images = build(name, num_classes=0).eval(), example(name, 96)
    features = model.forward_features(images)
    assert model(images).shape == (1, model.num_features) == (1, model.head_hidden_size)
    torch.testing.assert_close(model(images), features.mean((2, 3)))
    torch.testing.assert_close(model.forward_head(features, pre_logits=True), model(images))


@pytest.mark.parametrize("options", [{}, {"feature_cls": "getter"}], ids=["default", "getter"])
@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_features_only_keeps_what_it_says(name, options):
    model, images = build(name, features_only=True, **options).eval(), example(name, 96)
    maps = model(images)
    assert len(maps) == len(model.feature_info.channels()) >= 3
    for feature, width, stride in zip(maps, model.feature_info.channels(), model.feature_info.reduction(), strict=True):
        side = -(-images.size(2) // stride)
        assert feature.shape == (1, width, side, side) and feature.isfinite().all()


@pytest.mark.parametrize("name", SMALL)
def test_intermediate_maps_end_in_the_features(name):
    model, images = build(name).eval(), example(name, 96)
    info = FeatureInfo(model.feature_info, len(model.feature_info))
    last, maps = model.forward_intermediates(images, output_fmt="NCHW")
    assert [m.size(1) for m in maps] == info.channels() and len(maps) >= 3
    assert [-(-images.size(2) // stride) for stride in info.reduction()] == [m.size(2) for m in maps]
    assert all(m.isfinite().all() for m in maps)
    torch.testing.assert_close(model.forward_features(images), last)
    model.set_grad_checkpointing()
    torch.testing.assert_close(model.forward_intermediates(images)[0], last, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("classes", "channels"), [(5, 1), (0, 1)])
@pytest.mark.parametrize("name", ["vig_micro", "pvig_micro"])
def test_pretrained_weights_load_for_one_channel(name, classes, channels, tmp_path):
    source = build(name)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    overlay = {"file": str(tmp_path / "weights.pth"), "url": ""}
    options = {"num_classes": classes, "in_chans": channels, "pretrained_cfg_overlay": overlay}
    model = timm.create_model(name, pretrained=True, **options).eval()
    torch.testing.assert_close(
        model.stem[0].conv.weight, source.stem[0].conv.weight.sum(1, keepdim=True), rtol=1e-6, atol=1e-6
    )
    assert model(torch.randn(1, 1, 32, 32)).shape == (1, classes or model.num_features)
    timm.create_model(name, pretrained=True, features_only=True, pretrained_cfg_overlay=overlay)
