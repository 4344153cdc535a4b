"""The models as timm's users know models."""

import copy

import pytest
import timm
import timm.optim
import torch
from safetensors.torch import load_file, save_file

import vig_pyg
from tests.models.published import published_state
from vig_pyg.models.timm_interface import TimmInterface

NAMES = timm.list_models("vig_*") + timm.list_models("pvig_*")
SMALL = ["vig_tiny", "vig_micro", "pvig_tiny", "pvig_micro"]
MICRO = ["vig_micro", "pvig_micro"]
RELEASE = "https://github.com/huawei-noah/Efficient-AI-Backbones/releases/download"
FILES = {
    "vig_tiny.in1k": "vig/vig_ti_74.5.pth",
    "vig_small.in1k": "vig/vig_s_80.6.pth",
    "vig_base.in1k": "vig/vig_b_82.6.pth",
    "pvig_tiny.in1k": "pyramid-vig/pvig_ti_78.5.pth.tar",
    "pvig_small.in1k": "pyramid-vig/pvig_s_82.1.pth.tar",
    "pvig_medium.in1k": "pyramid-vig/pvig_m_83.1.pth.tar",
    "pvig_medium.in21k": "pyramid-vig/pvig_m_im21k_90e.pth",
    "pvig_base.in1k": "pyramid-vig/pvig_b_83.66.pth.tar",
}


def size(name):
    return 32 if "micro" in name else 96


def create(name, **options):
    torch.manual_seed(0)
    return timm.create_model(name, **{"img_size": size(name), "num_classes": 5, **options})


def images(name, count=2, channels=3):
    return torch.randn(count, channels, size(name), size(name), generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module", params=NAMES)
def shared(request):
    """The name, the model and images. Tests leave the model in evaluation mode and without gradients."""
    return request.param, create(request.param).eval(), images(request.param)


def test_all_models_are_registered():
    sizes = {"vig": ["tiny", "small", "base", "micro"], "pvig": ["tiny", "small", "medium", "base", "micro"]}
    assert sorted(NAMES) == sorted(f"{family}_{size}" for family, names in sizes.items() for size in names)


def test_what_timm_asks_for_is_written_once(shared):
    for name in ("reset_classifier", "get_classifier", "set_grad_checkpointing", "no_weight_decay", "group_matcher"):
        assert getattr(type(shared[1]), name) is getattr(TimmInterface, name)


def test_forward_gives_finite_logits(shared):
    _, model, x = shared
    with torch.no_grad():
        logits = model(x)
    assert logits.shape == (2, 5)
    assert logits.isfinite().all()


def test_backward_gives_every_parameter_a_gradient(shared):
    _, model, x = shared
    model.train()
    model(x).square().mean().backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    model.zero_grad()
    model.eval()
    assert missing == []


def test_default_cfg_names_layers_that_exist(shared):
    _, model, _ = shared
    state = model.state_dict()
    assert f"{model.default_cfg['classifier']}.weight" in state
    assert f"{model.default_cfg['first_conv']}.weight" in state
    assert state[f"{model.default_cfg['first_conv']}.weight"].shape[1] == 3


def test_the_head_continues_the_features(shared):
    _, model, x = shared
    with torch.no_grad():
        features = model.forward_features(x)
        assert features.dim() == 4
        assert features.shape[:2] == (2, model.num_features)
        torch.testing.assert_close(model.forward_head(features), model(x))
        hidden = model.forward_head(features, pre_logits=True)
        assert hidden.shape == (2, model.head_hidden_size)
        torch.testing.assert_close(model.get_classifier()(hidden), model(x))


def test_the_classifier_can_be_replaced_and_left_out(shared):
    _, model, x = shared
    model = copy.deepcopy(model)
    with torch.no_grad():
        hidden = model.forward_head(model.forward_features(x), pre_logits=True)
        model.reset_classifier(0)
        torch.testing.assert_close(model(x), hidden)
        assert model(x).shape == (2, model.head_hidden_size)
        model.reset_classifier(7)
        assert model.num_classes == model.get_classifier().out_features == 7
        assert model(x).shape == (2, 7)
        model.reset_classifier(0, "")
        torch.testing.assert_close(model(x), model.forward_features(x))
        assert model.forward_head(model.forward_features(x)).dim() == 4


def test_intermediate_maps_are_those_on_the_way(shared):
    _, model, x = shared
    count = len(model.feature_info)
    with torch.no_grad():
        last, maps = model.forward_intermediates(x)
        assert len(maps) == count
        torch.testing.assert_close(last, model.forward_features(x))
        torch.testing.assert_close(maps[-1], last)
        for feature, info in zip(maps, model.feature_info, strict=True):
            side = -(-size(shared[0]) // info["reduction"])
            assert feature.shape == (2, info["num_chs"], side, side)
        (only,) = model.forward_intermediates(x, indices=[1], intermediates_only=True, stop_early=True)
        torch.testing.assert_close(only, maps[1])
        _, two = model.forward_intermediates(x, indices=2)
        assert len(two) == 2
        torch.testing.assert_close(two[0], maps[-2])


def test_stopping_early_runs_no_later_block(shared):
    _, model, x = shared
    ran = []
    hooks = [b.register_forward_hook(lambda *_, i=i: ran.append(i)) for i, b in enumerate(model.blocks)]
    with torch.no_grad():
        model.forward_intermediates(x, indices=[0], stop_early=True)
    for hook in hooks:
        hook.remove()
    assert ran == list(range(model.out_indices[0] + 1))


@pytest.mark.parametrize("name", SMALL)
def test_checkpointing_changes_neither_outputs_nor_gradients(name):
    x = images(name)
    runs = []
    for enable in (False, True):
        model = create(name).train()
        model.set_grad_checkpointing(enable)
        logits = model(x)
        logits.square().mean().backward()
        runs.append((logits, {n: p.grad for n, p in model.named_parameters()}))
    torch.testing.assert_close(runs[0][0], runs[1][0])
    torch.testing.assert_close(runs[0][1], runs[1][1])


def test_checkpointing_runs_blocks_twice():
    model, calls = create("vig_micro").train(), []
    model.blocks[0].register_forward_pre_hook(lambda *_: calls.append(0))
    model.set_grad_checkpointing()
    model(images("vig_micro")).sum().backward()
    assert len(calls) == 2


@pytest.mark.parametrize("name", SMALL)
def test_pool_size_is_that_of_the_features(name):
    model = timm.create_model(name).eval()
    with torch.no_grad():
        features = model.forward_features(torch.randn(1, *model.default_cfg["input_size"]))
    assert tuple(features.shape[2:]) == tuple(model.default_cfg["pool_size"])


@pytest.mark.parametrize("name", NAMES)
def test_no_classes_give_the_features(name):
    model = create(name, num_classes=0).eval()
    with torch.no_grad():
        assert model(images(name)).shape == (2, model.head_hidden_size)
    assert isinstance(model.get_classifier(), torch.nn.Identity)


@pytest.mark.parametrize("name", NAMES)
def test_features_only_gives_one_map_per_stage(name):
    model = create(name, features_only=True).eval()
    with torch.no_grad():
        maps = model(images(name))
    assert len(maps) == (3 if name == "pvig_micro" else 4)
    assert [m.shape[1] for m in maps] == model.feature_info.channels()
    assert [size(name) // m.shape[2] for m in maps] == model.feature_info.reduction()
    assert all(m.isfinite().all() for m in maps)


@pytest.mark.parametrize("name", SMALL)
def test_features_only_takes_out_indices(name):
    whole, part = create(name).eval(), create(name, features_only=True, out_indices=(0, 2)).eval()
    part.load_state_dict(whole.state_dict(), strict=False)
    with torch.no_grad():
        maps = part(images(name))
        expected = whole.forward_intermediates(images(name), [0, 2], intermediates_only=True)
    torch.testing.assert_close(maps, expected)
    assert part.feature_info.reduction() == [whole.feature_info[i]["reduction"] for i in (0, 2)]


@pytest.mark.parametrize("name", MICRO)
def test_features_of_an_accumulating_model_are_what_its_head_takes(name):
    model = create(name, readout="accumulated").eval()
    with torch.no_grad():
        last, _ = model.forward_intermediates(images(name))
        torch.testing.assert_close(last, model.forward_features(images(name)))
        torch.testing.assert_close(model.forward_head(last), model(images(name)))


def test_only_channels_first_maps_are_offered():
    with pytest.raises(ValueError, match="output_fmt must be 'NCHW', got 'NLC'"):
        create("vig_micro").forward_intermediates(images("vig_micro"), output_fmt="NLC")


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", SMALL)
def test_images_may_have_other_channels(name, channels):
    model = create(name, in_chans=channels).eval()
    with torch.no_grad():
        assert model(images(name, channels=channels)).shape == (2, 5)


@pytest.mark.parametrize("name", SMALL)
def test_images_need_not_be_square(name):
    height, width = size(name), 2 * size(name)
    model = create(name, img_size=(height, width)).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, height, width)).shape == (1, 5)
        features = model.forward_features(torch.randn(1, 3, height, width))
    assert features.shape[3] == 2 * features.shape[2]
    assert model.pos_embed.shape[3] == 2 * model.pos_embed.shape[2]


@pytest.mark.parametrize("name", NAMES)
def test_stochastic_depth_rises_linearly(name):
    with torch.device("meta"):
        model = create(name, drop_path_rate=0.3)
    blocks = [b for b in model.blocks if hasattr(b, "grapher")]
    expected = torch.linspace(0, 0.3, len(blocks)).tolist()
    assert [b.grapher.drop_path.drop_prob for b in blocks] == pytest.approx(expected)
    assert [b.ffn.drop_path.drop_prob for b in blocks] == pytest.approx(expected)


@pytest.mark.parametrize("name", MICRO)
def test_stochastic_depth_and_dropout_act_in_training_only(name):
    for options in ({"drop_path_rate": 0.5}, {"drop_rate": 0.5}, {"dropout": 0.5}):
        model, plain = create(name, **options), create(name)
        x = images(name, 4)
        assert not torch.equal(model(x), model(x))
        plain.load_state_dict(model.state_dict())  # the statistics of two batches
        torch.testing.assert_close(model.eval()(x), plain.eval()(x))


@pytest.mark.parametrize("name", SMALL)
def test_a_state_dict_makes_the_same_model_again(name, tmp_path):
    model, other = create(name).eval(), timm.create_model(name, img_size=size(name), num_classes=5).eval()
    torch.save(model.state_dict(), tmp_path / "model.pth")
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    with torch.no_grad():
        expected = model(images(name))
        assert not torch.allclose(other(images(name)), expected)
        other.load_state_dict(torch.load(tmp_path / "model.pth"))
        assert torch.equal(other(images(name)), expected)
        other.reset_classifier(5)
        other.load_state_dict(load_file(tmp_path / "model.safetensors"))
        assert torch.equal(other(images(name)), expected)


def test_timm_loads_a_file_of_ours_by_checkpoint_path(tmp_path):
    model = create("vig_micro").eval()
    torch.save(model.state_dict(), tmp_path / "model.pth")
    other = create("vig_micro", checkpoint_path=str(tmp_path / "model.pth")).eval()
    assert torch.equal(other(images("vig_micro")), model(images("vig_micro")))


# Pretrained weights #################################################################################


@pytest.mark.parametrize("tag", FILES)
def test_pretrained_configurations_point_to_the_published_files(tag):
    cfg = timm.models.get_pretrained_cfg(tag)
    assert cfg.url == f"{RELEASE}/{FILES[tag]}"
    assert cfg.mean == cfg.std == (0.5, 0.5, 0.5)
    assert cfg.interpolation == "bicubic"
    assert cfg.crop_pct == (0.95 if "pvig_base" in tag else 0.9)
    assert cfg.num_classes == (21841 if "in21k" in tag else 1000)
    assert cfg.input_size == (3, 224, 224)


@pytest.mark.parametrize("name", MICRO)
def test_micro_models_have_no_published_weights(name):
    assert timm.models.get_pretrained_cfg(name).url in ("", None)
    assert not timm.is_model_pretrained(name)


@pytest.mark.parametrize(("classes", "channels"), [(10, 3), (7, 3), (0, 3), (10, 1), (7, 1)])
@pytest.mark.parametrize("name", MICRO)
def test_pretrained_weights_in_the_published_layout_load(name, classes, channels, tmp_path):
    torch.manual_seed(5)
    source = timm.create_model(name)
    torch.save({"state_dict": published_state(source)}, tmp_path / "weights.pth.tar")
    overlay = {"file": str(tmp_path / "weights.pth.tar"), "url": ""}
    options = {"num_classes": classes, "in_chans": channels, "pretrained_cfg_overlay": overlay}
    model = timm.create_model(name, pretrained=True, **options)
    ours, theirs = model.state_dict(), source.state_dict()
    first = theirs["stem.0.conv.weight"]
    torch.testing.assert_close(ours["stem.0.conv.weight"], first.sum(1, keepdim=True) if channels == 1 else first)
    new = {"stem.0.conv.weight"} | (set() if classes == 10 else {"head.fc2.weight", "head.fc2.bias"})
    assert [n for n in ours if n not in new and not torch.equal(ours[n], theirs[n])] == []
    assert model.num_classes == classes


@pytest.mark.parametrize("name", MICRO)
def test_pretrained_weights_load_for_another_image_size_and_features(name, tmp_path):
    source = timm.create_model(name)
    torch.save(published_state(source), tmp_path / "weights.pth")
    overlay = {"file": str(tmp_path / "weights.pth"), "url": ""}
    model = timm.create_model(name, pretrained=True, img_size=64, pretrained_cfg_overlay=overlay)
    assert model.pos_embed.shape[2] == 2 * source.pos_embed.shape[2]
    backbone = timm.create_model(name, pretrained=True, features_only=True, pretrained_cfg_overlay=overlay)
    assert torch.equal(backbone.model.blocks[0].ffn.fc1.linear.weight, source.blocks[0].ffn.fc1.linear.weight)


# Our own keywords ###################################################################################


@pytest.mark.parametrize("name", MICRO)
def test_keywords_of_ours_pass_through_timm(name):
    model = timm.create_model(name, conv="edge", k=5, heads=2)
    graphers = [b.grapher for b in model.blocks if hasattr(b, "grapher")]
    assert all(isinstance(g.conv, vig_pyg.EdgeConv) for g in graphers)
    assert [g.graph.k for g in graphers] == [5] * len(graphers)
    assert all(g.conv.nn.linear.heads == 2 for g in graphers)


def test_parameter_groups_follow_the_depth():
    model = create("vig_micro")
    assert model.no_weight_decay() == {"pos_embed"}
    groups = timm.optim.param_groups_layer_decay(model, layer_decay=0.5)
    scales = sorted({group["lr_scale"] for group in groups})
    assert len(scales) >= 4
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


@pytest.mark.parametrize("pool", ["token", "catavgmax"])
def test_an_unknown_pooling_is_refused(pool):
    with pytest.raises(ValueError, match=f"global_pool must be '', 'avg', 'max', 'avgmax', got '{pool}'"):
        create("vig_micro", global_pool=pool)
    with pytest.raises(ValueError, match=f"global_pool must be '', 'avg', 'max', 'avgmax', got '{pool}'"):
        create("vig_micro").reset_classifier(3, pool)
