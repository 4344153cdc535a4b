"""Semantic FPN beside its definition, and images of any sizes in one list."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vig_pyg.detection import retinanet
from vig_pyg.models.semantic_fpn import SemanticHead
from vig_pyg.segmentation import semantic_fpn

SIZES = [(64, 64), (70, 90), (64, 55), (100, 64), (128, 97)]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return semantic_fpn("pvig_micro", 5, channels=32).eval()


def test_the_head_is_that_of_panoptic_fpn():
    torch.manual_seed(0)
    head = SemanticHead(24, 12, 7, [4, 8, 16, 32])
    for parameter in head.parameters():
        nn.init.normal_(parameter, std=0.2)
    levels = [torch.randn(2, 24, 64 // 2**level, 96 // 2**level) for level in range(4)]

    def step(x: Tensor, convolution: nn.Module, norm: nn.Module) -> Tensor:
        return F.relu(F.group_norm(F.conv2d(x, convolution.weight, padding=1), 3, norm.weight, norm.bias))

    total = torch.zeros(2, 12, 64, 96)
    for level, x in enumerate(levels):
        modules = [module for module in head.levels[level] if len(list(module.parameters()))]
        assert len(modules) == 2 * max(1, level)  # Figure 3: one stage for 1/4 and 1/8, then two and three
        for convolution, norm in zip(modules[::2], modules[1::2], strict=True):
            x = step(x, convolution, norm)
            if level:
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        total += x
    logits = F.conv2d(total, head.classifier.weight, head.classifier.bias)
    expected = F.interpolate(logits, size=(256, 384), mode="bilinear", align_corners=False)
    torch.testing.assert_close(head(levels), expected)


@torch.no_grad()
def test_an_image_among_others_gives_what_it_gives_alone(model):
    images = [torch.rand(3, *size) for size in SIZES]
    together = model(images)
    for image, logits in zip(images, together, strict=True):
        assert logits.shape == (5, *image.shape[1:])
        assert torch.equal(logits, model([image])[0])
    # Images that are padded to one size share a batch, in which products may be rounded otherwise.
    torch.testing.assert_close(model([images[0], images[0][:, :60]])[1], model([images[0][:, :60]])[0])


@torch.no_grad()
def test_a_tensor_gives_what_a_list_gives(model):
    images = torch.rand(2, 3, 70, 90)
    torch.testing.assert_close(torch.stack(model(list(images))), model(images))


@torch.no_grad()
def test_padding_is_what_the_mean_image_shows(model):
    image = torch.rand(3, 70, 90)
    side = [-extent % model.stride for extent in image.shape[1:]]
    padded = model.mean.expand(3, 70 + side[0], 90 + side[1]).clone()
    padded[:, :70, :90] = image
    torch.testing.assert_close(model([image])[0], model([padded])[0][:, :70, :90])


@pytest.mark.parametrize("name", ["pvig_tiny", "resnet18", "swin_tiny_patch4_window7_224"])
@torch.no_grad()
def test_any_pyramid_of_timm_is_a_backbone(name):
    built = semantic_fpn(name, 3, channels=32).eval()
    assert built.backbone.strides == [4, 8, 16, 32]
    assert [logits.shape for logits in built([torch.rand(3, 224, 230)])] == [(3, 224, 230)]


def test_frozen_stages_and_norms_stay_as_they_are():
    torch.manual_seed(0)
    built = semantic_fpn("pvig_micro", 3, channels=32, frozen_stages=1, frozen_norm=True).train()
    before = {name: value.clone() for name, value in built.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in built.parameters() if p.requires_grad], lr=0.1)
    built(torch.rand(2, 3, 64, 64)).square().mean().backward()
    optimizer.step()
    changed = {name for name, value in built.state_dict().items() if not torch.equal(value, before[name])}
    assert not any("running" in name or "stem" in name or ".blocks.0." in name for name in changed)
    assert any(".blocks.4." in name for name in changed) and "head.classifier.weight" in changed


def test_a_width_that_gives_no_groups_is_refused():
    with pytest.raises(ValueError, match="half the channels of the pyramid must be a multiple of 4, got 10"):
        semantic_fpn("pvig_micro", 3, channels=20)


def test_positions_take_no_weight_decay(model):
    assert model.no_weight_decay() == {name for name, _ in model.named_parameters() if name.endswith("pos_embed")}
    assert len(model.no_weight_decay()) == 1


def test_recomputing_changes_nothing():
    torch.manual_seed(0)
    built, images, gradients = semantic_fpn("pvig_micro", 3, channels=32).train(), torch.rand(2, 3, 64, 64), []
    for enable in (False, True):
        built.set_grad_checkpointing(enable)
        built.zero_grad()
        built(images).square().mean().backward()
        gradients.append(built.backbone.body.model.pos_embed.grad.clone())
    torch.testing.assert_close(*gradients)


@torch.no_grad()
def test_a_model_from_the_meta_device_gives_the_same_logits_once_its_weights_are_loaded(model):
    with torch.device("meta"):
        other = semantic_fpn("pvig_micro", 5, channels=32).eval()
    other.to_empty(device="cpu")
    for held in [*other.parameters(), *other.buffers()]:
        held.fill_(float("nan") if held.is_floating_point() else -7)
    other.load_state_dict(model.state_dict())
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(other(images), model(images))


@pytest.mark.parametrize(
    ("images", "kind", "sentence"),
    [
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), TypeError, "got torch.uint8: divide bytes by 255 first"),
        ([torch.zeros(3, 64, 64, dtype=torch.uint8)], TypeError, "got torch.uint8: divide bytes by 255 first"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.float64), TypeError, "must be torch.float32 as the model's weights are"),
        (torch.zeros(3, 64, 64), ValueError, r"must have shape \[B, 3, H, W\], got \[3, 64, 64\]"),
        (torch.zeros(1, 1, 64, 64), ValueError, r"must have shape \[B, 3, H, W\], got \[1, 1, 64, 64\]"),
        (torch.zeros(0, 3, 64, 64), ValueError, r"must have shape \[B, 3, H, W\], got \[0, 3, 64, 64\]"),
        ([torch.zeros(1, 3, 64, 64)], ValueError, r"must have shape \[3, H, W\] in a list, got \[1, 3, 64, 64\]"),
        ([torch.zeros(64, 64)], ValueError, r"must have shape \[3, H, W\] in a list, got \[64, 64\]"),
        ([torch.zeros(3, 64, 64, device="meta")], ValueError, "must be on cpu as the model is, got meta"),
        ([[0.0]], TypeError, "a list of images must hold tensors"),
        ("images", TypeError, "images must be a tensor"),
    ],
)
def test_images_of_another_kind_are_one_sentence(images, kind, sentence, model):
    detector = retinanet("pvig_micro", 2, channels=32).eval()
    for taken in (model, detector, detector.train()):
        with pytest.raises(kind, match=sentence):
            taken(images)


def test_half_precision_is_the_weights(model):
    images = [torch.rand(3, 64, 64)]
    with torch.autocast("cpu", torch.bfloat16):
        assert model(images)[0].shape == (5, 64, 64)
    with pytest.raises(TypeError, match="as the model's weights are, got torch"):
        model([images[0].bfloat16()])


def test_no_image_gives_no_logits(model):
    assert model([]) == []
