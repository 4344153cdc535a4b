"""The models among tools of others: meta devices, transformers, frozen norms, hooks, tracers."""

import copy

import pytest
import timm
import torch
from timm.layers import SelectAdaptivePool2d
from timm.models import group_parameters
from timm.models._manipulate import reinit_non_persistent_buffers
from torch_geometric.data import Batch
from torchvision.models import feature_extraction

import vig_pyg
from vig_pyg import fuse_for_inference

MICRO = ["vig_micro", "pvig_micro"]
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))


def create(name, **options):
    torch.manual_seed(0)
    return timm.create_model(name, **options).eval()


# Memory that is not filled ##########################################################################


def built_on_meta(name):
    """Return a model from the meta device whose memory holds what it held before: here NaN."""
    with torch.device("meta"):
        model = create(name)
    model = model.to_empty(device="cpu")
    for held in [*model.parameters(), *model.buffers()]:
        held.data.fill_(float("nan") if held.is_floating_point() else -7)
    return model


@pytest.mark.parametrize("name", MICRO)
def test_a_model_from_the_meta_device_gives_the_same_logits_once_its_weights_are_loaded(name):
    model, other = create(name), built_on_meta(name)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(IMAGES), model(IMAGES))


@pytest.mark.parametrize("name", MICRO)
def test_timm_fills_buffers_that_no_file_holds(name):
    model, other = create(name), built_on_meta(name)
    with torch.no_grad():
        for mine, theirs in zip(other.state_dict().values(), model.state_dict().values(), strict=True):
            mine.copy_(theirs)  # as transformers does, without load_state_dict
    names = reinit_non_persistent_buffers(other)
    assert len(names) == (3 if name == "pvig_micro" else 0)  # one table per stage
    assert torch.equal(other(IMAGES), model(IMAGES))


@pytest.mark.parametrize("name", MICRO)
def test_transformers_reloads_a_model_of_ours(name, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.TimmWrapperConfig(architecture=name, num_labels=5)
    model = transformers.TimmWrapperForImageClassification(config).eval()
    model.save_pretrained(tmp_path)
    other = transformers.AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    assert torch.equal(other(IMAGES).logits, model(IMAGES).logits)


# Frozen norms #######################################################################################


def trained(name, **options):
    """Return a model whose statistics have moved, in float64: rounding swaps no neighbors."""
    model = create(name, **options).double().train()
    with torch.no_grad():
        model(torch.randn(4, 3, 32, 32, dtype=torch.double))
    return model.eval()


@pytest.mark.parametrize("options", [{}, {"conv": "edge"}, {"conv": "gcn"}, {"stem": "patch"}], ids=str)
@pytest.mark.parametrize("name", MICRO)
def test_timm_freezes_and_unfreezes_batch_norms(name, options):
    model, images = trained(name, **options), IMAGES.double()
    expected, state = model(images), copy.deepcopy(model.state_dict())
    timm.utils.freeze(model)
    model.train()
    torch.testing.assert_close(model(images), expected)
    frozen = model.state_dict()
    assert all(torch.equal(frozen[key], state[key]) for key in frozen)
    assert set(state) - set(frozen) == {key for key in state if key.endswith("num_batches_tracked")}
    torch.testing.assert_close(fuse_for_inference(model)(images), expected)
    timm.utils.unfreeze(model)
    torch.testing.assert_close(model.eval()(images), expected)
    model.train()(images).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    moved = model.state_dict()
    still = [key for key in state if "running" in key and torch.equal(moved[key], state[key])]
    assert still == []


def test_timm_freezes_some_layers():
    model, images = trained("vig_micro"), IMAGES.double()
    before = copy.deepcopy(model.state_dict())
    timm.utils.freeze(model, ["stem", "blocks.0"])
    model.train()(images)
    after = model.state_dict()
    moved = {
        key.rsplit(".", 2)[0] for key in after if "running_mean" in key and not torch.equal(after[key], before[key])
    }
    assert not any(key.startswith(("stem", "blocks.0.")) for key in moved)
    assert any(key.startswith("blocks.1.") for key in moved)


# Maps for hooks #####################################################################################


@pytest.mark.parametrize("readout", ["mean", "accumulated"])
@pytest.mark.parametrize("name", MICRO)
def test_hooks_see_the_maps_between_blocks_without_copies(name, readout):
    model, seen = create(name, readout=readout), {}
    for key, module in model.named_modules():
        if key.startswith("feature_maps.") or key == "last_map":
            module.register_forward_hook(lambda _, __, out, key=key: seen.update({key: out}))
    nodes = []
    model.blocks[-1].register_forward_hook(lambda _, __, out: nodes.append(out[0]))
    with torch.no_grad():
        last, maps = model.forward_intermediates(IMAGES)
        torch.testing.assert_close([*seen.values()], [*maps, last], rtol=0, atol=0)
    assert list(seen) == [f"feature_maps.{i}" for i in range(len(model.feature_info))] + ["last_map"]
    assert [m.size(1) for m in maps] == [info["num_chs"] for info in model.feature_info]
    assert seen[f"feature_maps.{len(maps) - 1}"].data_ptr() == nodes[0].data_ptr()
    assert not any(key.startswith(("feature_maps", "last_map")) for key in model.state_dict())


def test_what_a_hook_returns_is_used():
    model = create("pvig_micro")
    expected = model(IMAGES)
    model.feature_maps[1].register_forward_hook(lambda _, __, out: 2 * out)
    model.feature_maps[1].register_forward_hook(lambda _, __, out: out.contiguous() / 2)
    assert torch.equal(model(IMAGES), expected)
    model.last_map.register_forward_hook(lambda _, __, out: torch.zeros_like(out))
    assert torch.equal(model(IMAGES), model.head(torch.zeros(2, model.num_features)))


def test_a_batch_of_several_sizes_has_no_maps():
    model = create("vig_micro", img_size=64)
    model.last_map.register_forward_hook(lambda *_: pytest.fail("there is no map"))
    images = [torch.randn(3, 32, 32), torch.randn(3, 48, 32)]
    assert model(Batch.from_data_list([vig_pyg.image_data(image) for image in images])).shape == (2, 10)


def grad_cam(model, layer, images, classes):
    """Grad-CAM by its definition (Selvaraju et al., 2017, equations 1 and 2)."""
    kept = {}
    handle = layer.register_forward_hook(lambda _, __, out: kept.update(out=out))
    logits = model(images)
    handle.remove()
    (gradient,) = torch.autograd.grad(logits[torch.arange(len(images)), classes].sum(), kept["out"])
    return (gradient.mean((2, 3), keepdim=True) * kept["out"]).sum(1).relu().detach()


@pytest.mark.parametrize("name", MICRO)
def test_grad_cam_of_the_last_map_is_linear_in_the_gradient_of_the_head(name):
    model, classes = create(name), torch.tensor([1, 4])
    features = model.forward_features(IMAGES).detach().requires_grad_()
    model.forward_head(features)[torch.arange(2), classes].sum().backward()
    expected = (features.grad.mean((2, 3), keepdim=True) * features).sum(1).relu()
    torch.testing.assert_close(grad_cam(model, model.last_map, IMAGES, classes), expected.detach())


@pytest.mark.parametrize("name", MICRO)
def test_grad_cam_packages_take_the_maps(name):
    model, classes = create(name), [1, 4]
    captum = pytest.importorskip("captum.attr")
    cam = pytest.importorskip("pytorch_grad_cam")
    targets = [cam.utils.model_targets.ClassifierOutputTarget(c) for c in classes]
    for layer in (model.feature_maps[1], model.last_map):
        expected = grad_cam(model, layer, IMAGES, classes)
        by_captum = captum.LayerGradCam(model, layer).attribute(IMAGES, classes, relu_attributions=True)
        torch.testing.assert_close(by_captum.squeeze(1), expected)
        scaled = torch.from_numpy(cam.GradCAM(model, [layer])(IMAGES, targets))
        assert scaled.shape == (2, 32, 32) and scaled.isfinite().all()
        activation = captum.LayerActivation(model, layer).attribute(IMAGES)
        attributed = captum.LayerIntegratedGradients(model, layer).attribute(IMAGES, target=classes, n_steps=2)
        assert attributed.shape == activation.shape and attributed.isfinite().all()


# Tracers that cannot follow #########################################################################


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_tracers_are_refused_in_one_sentence(wrapped):
    model = create("vig_micro")
    model = torch.nn.Sequential(model) if wrapped else model
    sentence = "cannot follow a Vision GNN, whose graph depends on its images: forward_intermediates .* torch.export"
    for trace in (torch.fx.symbolic_trace, feature_extraction.get_graph_node_names):
        with pytest.raises(TypeError, match=f"^torch.fx {sentence}"):
            trace(model)
    with pytest.raises(TypeError, match=f"^torch.fx {sentence}"):
        feature_extraction.create_feature_extractor(model, ["blocks.0"])
    with pytest.raises(RuntimeError, match=f"^torch.jit.script {sentence}"):
        torch.jit.script(model)


# What timm does with a model ########################################################################


@pytest.mark.parametrize("features_only", [False, True])
@pytest.mark.parametrize("name", MICRO)
def test_a_model_is_built_in_a_type_of_number_and_on_a_device(name, features_only):
    model = create(name, dtype=torch.bfloat16, features_only=features_only)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    out = model(IMAGES.bfloat16())
    assert (out[0] if features_only else out).dtype == torch.bfloat16
    assert {p.device.type for p in create(name, device="meta").parameters()} == {"meta"}
    double = create(name, dtype=torch.float64)
    torch.testing.assert_close(double.state_dict(), create(name).double().state_dict())


@pytest.mark.parametrize("prune_head", [False, True])
@pytest.mark.parametrize("name", MICRO)
def test_pruned_models_give_maps_and_take_new_classifiers(name, prune_head):
    model, whole = create(name), create(name)
    if name == "pvig_micro" and not prune_head:
        with pytest.raises(ValueError, match="the head takes 128 channels and feature map 1 has 64: prune_head=True"):
            model.prune_intermediate_layers([0, 1], prune_head=False)
        torch.testing.assert_close(model(IMAGES), whole(IMAGES))  # nothing was pruned
        return
    assert model.prune_intermediate_layers([0, 1], prune_head=prune_head) == [0, 1]
    expected = whole.forward_intermediates(IMAGES, [0, 1], intermediates_only=True)
    torch.testing.assert_close(model.forward_intermediates(IMAGES)[1], expected)
    assert model.num_features == model.feature_info[-1]["num_chs"] == expected[-1].size(1)
    assert model.get_classifier() is model.head.fc2
    if prune_head:
        torch.testing.assert_close(model(IMAGES), expected[-1])
        assert not any(key.startswith("head.") for key in model.state_dict())
        model.reset_classifier(7, "avg")
        assert not model.head.fc1.training
    else:
        torch.testing.assert_close(model(IMAGES), whole.forward_head(expected[-1]))
        model.reset_classifier(7)
    assert model(IMAGES).shape == (2, 7) and model.get_classifier().out_features == 7


@pytest.mark.parametrize("pool", ["avg", "max", "avgmax"])
@pytest.mark.parametrize("name", MICRO)
def test_poolings_are_those_of_timm(name, pool):
    model, images = create(name, global_pool=pool).double(), torch.randn(2, 3, 48, 32, dtype=torch.double)
    features = model.forward_features(images)
    expected = model.head(SelectAdaptivePool2d(pool_type=pool, flatten=True)(features))
    torch.testing.assert_close(model(images), expected)
    torch.testing.assert_close(model.forward_head(features.contiguous()), expected)
    ragged = [images[0], IMAGES[0].double()]
    logits = model(Batch.from_data_list([vig_pyg.image_data(image) for image in ragged]))
    torch.testing.assert_close(logits, torch.cat([model(image[None]) for image in ragged]))
    model.reset_classifier(0, "max")
    torch.testing.assert_close(model(images), model.head.fc1(features.amax((2, 3))))


def test_a_downsampling_learns_at_the_rate_of_the_block_after_it():
    with torch.device("meta"):
        model = create("pvig_tiny")
    groups = group_parameters(model, model.group_matcher(), reverse=True)
    assert set(groups.values()) == set(range(1 + 12 + 1))  # stem, blocks, head
    assert groups["pos_embed"] == groups["stem.0.conv.weight"] == 0
    assert [groups[f"blocks.{i}.conv.weight"] for i in (2, 5, 12)] == [3, 5, 11]
    assert [groups[f"blocks.{i}.grapher.fc1.linear.weight"] for i in (0, 1, 3, 14)] == [1, 2, 3, 12]
    coarse = group_parameters(model, model.group_matcher(coarse=True), reverse=True)
    assert set(coarse.values()) == set(range(1 + 4 + 1))  # stem, stages, head
    assert [coarse[f"blocks.{i}.conv.weight"] for i in (2, 5, 12)] == [2, 3, 4]
    assert [coarse[f"blocks.{i}.grapher.fc1.linear.weight"] for i in (0, 1, 3, 14)] == [1, 1, 2, 4]


# Made ready for inference by timm ###################################################################


@pytest.mark.parametrize("conv", ["max_relative", "edge", "sage", "gcn"])
@pytest.mark.parametrize("name", MICRO)
def test_timm_reparameterizes_a_model(name, conv):
    model = create(name, conv=conv, num_classes=10)
    model.train()(torch.randn(8, 3, 32, 32))  # statistics that are not 0 and 1
    model.eval()
    ready = timm.utils.reparameterize_model(model)
    torch.testing.assert_close(ready(IMAGES), model(IMAGES), rtol=1e-4, atol=1e-4)
    left, ours = (
        [name for name, layer in m.named_modules() if isinstance(layer, torch.nn.BatchNorm1d)]
        for m in (ready, fuse_for_inference(model))
    )
    assert left == ours and (left == []) == (conv != "gcn")
