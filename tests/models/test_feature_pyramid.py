"""A pyramid's levels are torchvision's on timm's maps; detectors and segmenters test the rest."""

import pytest
import timm
import torch
from torch import nn
from torchvision.ops import FeaturePyramidNetwork

from vig_pyg.models.feature_pyramid import FeaturePyramid, backbone_of

IMAGES = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def pyramid(name: str = "resnet18", finest: int = 8, **options) -> FeaturePyramid:
    torch.manual_seed(0)
    return FeaturePyramid(backbone_of(name, None, None), finest, 16, **options).eval()


@pytest.mark.parametrize("name", ["resnet18", "swin_tiny_patch4_window7_224", "pvig_micro"])
def test_levels_are_those_of_torchvision(name):
    model = pyramid(name)
    maps = model.body(IMAGES)
    maps = [m.permute(0, 3, 1, 2) if name.startswith("swin") else m for m in maps]
    used = {str(level): maps[index] for level, index in enumerate(model.used)}
    reference = FeaturePyramidNetwork([m.size(1) for m in used.values()], 16)
    reference.load_state_dict(model.fpn.state_dict())
    found = model(IMAGES)
    torch.testing.assert_close(dict(found), dict(reference(used)))
    assert [64 // level.size(2) for level in found.values()] == model.strides and min(model.strides) >= 8


def test_frozen_stages_end_where_a_map_does():
    model = pyramid(frozen_stages=2).train()
    still = {name.split(".")[0] for name, p in model.body.named_parameters() if not p.requires_grad}
    assert still == {"conv1", "bn1", "layer1"}
    assert not model.body.bn1.training and model.body.layer2.training


def test_frozen_norms_are_all_batch_norms_of_the_body():
    model = pyramid(frozen_norm=True, norm=nn.BatchNorm2d).train()
    norms = {name: m.training for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert {name for name, training in norms.items() if training} == {n for n in norms if n.startswith("fpn.")} != set()


def test_what_is_no_pyramid_is_refused():
    with pytest.raises(ValueError, match="a pyramid needs feature maps of rising strides, 64 at least, got"):
        pyramid(finest=64)
    with pytest.raises(ValueError, match="frozen_stages must be between 0 and 5, got 6"):
        pyramid(frozen_stages=6)
    with pytest.raises(TypeError, match="a backbone must tell its feature maps by feature_info, got Linear"):
        backbone_of(nn.Linear(2, 2), None, None)
    with pytest.raises(ValueError, match="resnet18 does not take these options"):
        backbone_of("resnet18", None, {"wings": 2})


def test_a_backbone_that_is_given_is_taken_as_it_is():
    body = timm.create_model("resnet18", features_only=True)
    assert backbone_of(body, None, None) is body
