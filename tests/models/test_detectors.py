"""Detectors against the paper's sizes, torchvision's own, and themselves in batches."""

import pytest
import timm
import torch
from timm.models._features import FeatureInfo
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.models import resnet50
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import MaskRCNN, RetinaNet
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from tests.models.published import published_state
from vig_pyg.detection import mask_rcnn, retinanet
from vig_pyg.study.cost import count_parameters
from vig_pyg.tasks.detection import build_detector
from vig_pyg.tasks.recipes import read_recipe

HEADS = [retinanet, mask_rcnn]
SMALL = {"channels": 16, "min_size": 64, "max_size": 96, "backbone_options": {"stride": 4, "drop_path_rate": 0.0}}


def small(head, backbone="pvig_micro", **options):
    torch.manual_seed(0)
    return head(backbone, 3, **(SMALL | options))


def target(*boxes: list[float], size: tuple[int, int] = (64, 64)) -> dict[str, torch.Tensor]:
    masks = torch.zeros(len(boxes), *size, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[int(top) : int(bottom), int(left) : int(right)] = 1
    return {"boxes": torch.tensor(boxes).reshape(-1, 4), "labels": torch.arange(len(boxes)) % 3, "masks": masks}


@pytest.mark.parametrize(("head", "millions"), [(retinanet, 36.2), (mask_rcnn, 45.8)])
def test_parameters_are_the_papers(head, millions):
    with torch.device("meta"):
        assert count_parameters(head("pvig_small", 80)) / 1e6 == pytest.approx(millions, rel=0.005)


def resnet(seed: int = 0) -> IntermediateLayerGetter:
    torch.manual_seed(seed)
    return IntermediateLayerGetter(resnet50(), {f"layer{i}": str(i - 1) for i in (1, 2, 3, 4)})


@pytest.mark.parametrize("head", HEADS)
def test_results_are_torchvisions_with_torchvisions_backbone(head):
    widths, names = [256, 512, 1024, 2048], ["layer1", "layer2", "layer3", "layer4"]
    used = slice(1 if head is retinanet else 0, None)
    kept = {name: str(level) for level, name in enumerate(names[used])}
    extra = LastLevelP6P7(2048, 256) if head is retinanet else LastLevelMaxPool()
    pyramid = BackboneWithFPN(resnet50(), kept, widths[used], 256, extra)
    prefix = "" if head is retinanet else "box_"
    sizes = {"min_size": 96, "max_size": 128, f"{prefix}score_thresh": 0.0, f"{prefix}detections_per_img": 20}
    if head is mask_rcnn:
        sizes |= {"rpn_post_nms_top_n_train": 100, "rpn_post_nms_top_n_test": 50}
    theirs = RetinaNet(pyramid, 3, **sizes) if head is retinanet else MaskRCNN(pyramid, 4, **sizes)
    body = resnet()
    body.feature_info = FeatureInfo(
        [{"num_chs": w, "reduction": 4 * 2**i, "module": names[i]} for i, w in enumerate(widths)], (0, 1, 2, 3)
    )
    ours = head(body, 3, **sizes)
    ours.load_state_dict(theirs.state_dict())
    images, targets = (
        [torch.rand(3, 96, 128)],
        [target([8.0, 8.0, 40.0, 40.0], [50.0, 20.0, 90.0, 80.0], size=(96, 128))],
    )
    background = head is mask_rcnn  # torchvision's labels then begin with 1
    with torch.no_grad():
        torch.manual_seed(0)
        mine = ours.eval()(images)[0]
        others = theirs.eval()(images)[0]
        assert len(mine["scores"]) == 20
        for name, value in mine.items():
            torch.testing.assert_close(value + background if name == "labels" else value, others[name])
        torch.manual_seed(0)
        losses = ours.train()(images, targets)
        torch.manual_seed(0)
        shifted = [{**t, "labels": t["labels"] + background} for t in targets]
        ours.eval(), theirs.train()
        expected = theirs(images, shifted)
    assert losses.keys() == expected.keys()
    for name, loss in losses.items():
        torch.testing.assert_close(loss, expected[name])


@pytest.mark.parametrize("head", HEADS)
def test_an_image_in_a_batch_of_other_sizes_is_seen_as_alone(head):
    threshold = {"score_thresh" if head is retinanet else "box_score_thresh": 0.0}
    model = small(head, **threshold).eval().double()
    images = [torch.rand(3, *size, dtype=torch.float64) for size in ((64, 96), (80, 64), (64, 96), (50, 51))]
    together = model(images)
    for image, found in zip(images, together, strict=True):
        (alone,) = model([image])
        assert len(found["boxes"]) > 0 and found.keys() == alone.keys()
        assert int(found["labels"].min()) >= 0 and int(found["labels"].max()) <= 2
        for name, value in found.items():
            torch.testing.assert_close(value, alone[name])
        assert (found["boxes"][:, 2:] <= torch.tensor([image.shape[2], image.shape[1]]) + 1e-3).all()


@pytest.mark.parametrize("head", HEADS)
def test_frozen_stages_and_norms_stay_as_they_are(head):
    model = small(head, frozen_stages=1, frozen_norm=True).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    sum(model([torch.rand(3, 64, 64)], [target([4.0, 4.0, 40.0, 40.0])]).values()).backward()
    optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    fixed = ("pos_embed", "stem.", "blocks.0.")
    body = {name.removeprefix("backbone.body.model.") for name in changed if name.startswith("backbone.body")}
    norms = {name for name, module in model.backbone.body.model.named_modules() if isinstance(module, nn.BatchNorm1d)}
    assert body and not any(name.startswith(fixed) for name in body)
    assert len(norms) > 5 and not {name.rpartition(".")[0] for name in body} & norms
    assert not model.backbone.body.model.stem[0].training and model.backbone.body.model.blocks[2].training


def test_classification_weights_start_the_backbone(tmp_path):
    published = timm.create_model("pvig_micro", stride=4, num_classes=5)
    torch.save(published_state(published), tmp_path / "weights.pth")
    model = small(retinanet, init=str(tmp_path / "weights.pth"))
    own = published.state_dict()
    for name, value in model.backbone.body.model.state_dict().items():
        assert torch.equal(value, own[name]), name
    torch.save({"stem.0.conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="weights are missing"):
        small(retinanet, init=str(tmp_path / "other.pth"))


def test_classification_weights_start_other_backbones(tmp_path):
    torch.manual_seed(1)
    trained = timm.create_model("resnet18")
    torch.save(trained.state_dict(), tmp_path / "weights.pth")
    model = small(retinanet, "resnet18", backbone_options={}, init=str(tmp_path / "weights.pth"))
    started = model.backbone.body.state_dict()
    own = {key.replace(".", "_"): value for key, value in trained.state_dict().items()}
    taken = [key for key, value in started.items() if torch.equal(value, own[key.replace(".", "_")])]
    assert len(taken) == len(started) > 50


@pytest.mark.parametrize("backbone", ["resnet18", "swin_tiny_patch4_window7_224"])
def test_other_backbones_are_one_word(backbone):
    model = small(retinanet, backbone, backbone_options={}, score_thresh=0.0).eval()
    found = model([torch.rand(3, 70, 90), torch.rand(3, 64, 64)])
    assert [len(objects["boxes"]) for objects in found] == [100, 100]


def test_weights_of_another_model_are_refused_by_other_backbones(tmp_path):
    torch.save(timm.create_model("pvig_micro").state_dict(), tmp_path / "pvig.pth")
    torch.save(timm.create_model("resnet26").state_dict(), tmp_path / "resnet26.pth")
    for file in ("pvig.pth", "resnet26.pth"):
        with pytest.raises(ValueError, match=f"{file} holds no weights of resnet18: "):
            small(retinanet, "resnet18", backbone_options={}, init=str(tmp_path / file))
    torch.save(timm.create_model("resnet18", num_classes=7).state_dict(), tmp_path / "seven.pth")
    small(retinanet, "resnet18", backbone_options={}, init=str(tmp_path / "seven.pth"))


@pytest.mark.parametrize("head", HEADS)
def test_under_autocast_boxes_and_losses_are_not_rounded(head):
    model = small(head, score_thresh=0.0) if head is retinanet else small(head, box_score_thresh=0.0)
    images = [torch.rand(3, 64, 96)]
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        losses = model.train()(images, [target([4.0, 4.0, 40.0, 41.0], size=(64, 96))])
        found = model.eval()(images)[0]
    assert {value.dtype for value in losses.values()} == {torch.float32}
    boxes = found["boxes"]
    assert boxes.dtype == torch.float32 and (boxes != boxes.bfloat16().float()).any()
    anchors = model.anchor_generator if head is retinanet else model.rpn.anchor_generator
    assert {cell.dtype for cell in anchors.cell_anchors} == {torch.float32}


def test_stochastic_depth_is_the_papers_or_the_users():
    def rate(*words):
        model = build_detector(read_recipe("coco_1x", words), 3)
        return max(getattr(module, "drop_prob", 0.0) or 0.0 for module in model.modules())

    depths = "model_options.depths=[1,1,1,2]"
    assert rate("model=pvig_base", depths) == pytest.approx(0.3)
    assert rate("model=pvig_tiny", depths) == pytest.approx(0.1)
    assert rate("model=pvig_tiny", depths, "drop_path=0.2") == pytest.approx(0.2)
    assert rate("model=pvig_tiny", depths, "model_options.drop_path_rate=0.4") == pytest.approx(0.4)
    assert rate("model=vgg11") == 0  # it knows none


class Largest(TorchDispatchMode):
    """Keeps the number of entries of the largest tensor that anything returns."""

    entries = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        tensors = [leaf for leaf in torch.utils._pytree.tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        self.entries = max(self.entries, *(tensor.numel() for tensor in tensors), 0)
        return out


def test_nothing_of_size_nodes_by_nodes_is_held_at_800_by_1333():
    pyramid = retinanet(
        "pvig_tiny", 80, backbone_options={"channels": [16, 16, 16, 16], "depths": [1, 1, 1, 1]}
    ).backbone
    nodes, sources = 200 * 336, 50 * 84  # of the first stage; images are padded to a multiple of 32
    with Largest() as largest:
        sum(level.sum() for level in pyramid(torch.rand(1, 3, 800, 1344)).values()).backward()
    assert 1e6 < largest.entries < nodes * sources / 50


def test_another_backbone_is_one_word_of_a_recipe():
    for name in ("scenes", "scenes_masks", "coco_1x"):
        model = build_detector(read_recipe(name, ["model=resnet18"]), 10)
        assert model.backbone.out_channels == (256 if name == "coco_1x" else 64)


def test_learning_without_an_object_and_with_checkpoints():
    for head in HEADS:
        model = small(head, group_norm=True).train()
        model.set_grad_checkpointing()
        losses = model(
            [torch.rand(3, 64, 64), torch.rand(3, 80, 64)], [target(), target([4.0, 4.0, 40.0, 40.0], size=(80, 64))]
        )
        sum(losses.values()).backward()
        assert all(parameter.grad is not None for parameter in model.backbone.parameters())
        assert model.no_weight_decay() <= {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"backbone": "vig_micro", "backbone_options": {}}, "needs feature maps of rising strides"),
        ({"frozen_stages": 4}, "frozen_stages must be between 0 and 3, got 4"),
        ({"backbone_options": {"wings": 2}}, "pvig_micro does not take these options"),
        ({"wings": 2}, "RetinaNet has no option 'wings'"),
    ],
)
def test_wrong_choices_are_named(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        small(retinanet, **options)
