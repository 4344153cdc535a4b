"""MobileViG and its successors: outputs recorded from their authors' code, their parameters, and what users change."""

import json
from pathlib import Path

import onnxruntime
import pytest
import timm
import torch
from torch_geometric.data import Batch

import vig_pyg
from tests.models.published import made_up, made_up_images
from vig_pyg.blocks import Block, InvertedResidual
from vig_pyg.models.checkpoint import checkpoint_filter_fn
from vig_pyg.models.export import export
from vig_pyg.models.mobile_vig import MobileViG, default_cfgs

FOLDER = Path(__file__).parents[1] / "data/published/successors"
RECORDED = {
    "mobilevig_tiny": "mobilevig_ti",
    "mobilevigv2_tiny": "mobilevigv2_ti",
    "greedyvig_small": "greedyvig_s",
    "adaptvig_small": "adaptvig_s",
}
PARAMETERS = {  # of the authors' code
    "mobilevig_tiny": 5_271_074,
    "mobilevig_small": 7_276_538,
    "mobilevig_medium": 14_075_786,
    "mobilevig_base": 26_868_506,
    "mobilevigv2_tiny": 5_695_824,
    "mobilevigv2_small": 7_767_632,
    "mobilevigv2_medium": 15_471_504,
    "mobilevigv2_base": 27_878_864,
    "greedyvig_small": 11_983_376,
    "greedyvig_medium": 21_928_112,
    "greedyvig_base": 30_905_296,
    "adaptvig_small": 8_685_785,
    "adaptvig_medium": 18_062_812,
    "adaptvig_base": 26_987_231,
}
SMALL = {"channels": (8, 16), "depths": ((1, 1), (1, 1)), "num_classes": 5}


def weight_of(name, shape):
    """Return the made-up weight of a name; temperatures are large, so that gates let something through."""
    if name.endswith(".temperature"):
        return 30 * (2 * made_up(name, shape)).exp()  # a scalar of another name is 0.1 times normal
    return made_up(name, shape)


@pytest.fixture(scope="module", params=RECORDED)
def recorded(request):
    """A recording, and our model with its weights in float64."""
    recording = json.loads((FOLDER / f"{RECORDED[request.param]}.json").read_text())
    weights = {name: weight_of(name, tuple(shape)) for name, shape in recording["shapes"].items()}
    return recording, vig_pyg.load_checkpoint(timm.create_model(request.param).double(), weights)


def published_names(recording, model):
    """Return the published name of every parameter, from weights that say which they are."""
    shapes = recording["shapes"].items()
    numbered = {name: torch.full(tuple(shape), float(number)) for number, (name, shape) in enumerate(shapes)}
    names = list(recording["shapes"])
    return {ours: names[int(w.flatten()[0])] for ours, w in checkpoint_filter_fn(numbered, model).items()}


def test_logits_are_the_recorded_ones(recorded):
    recording, model = recorded
    with torch.no_grad():
        logits = model.eval()(made_up_images())
        fused = vig_pyg.fuse_for_inference(model)(made_up_images())
    theirs = torch.tensor(recording["logits"], dtype=torch.float64)
    assert (logits[:, :32] - theirs).abs().max() < 1e-9 * recording["logits_max_abs"]
    assert logits.abs().max().item() == pytest.approx(recording["logits_max_abs"], rel=1e-9)
    assert logits.abs().mean(1).tolist() == pytest.approx(recording["logits_mean_abs"], rel=1e-9)
    assert (fused - logits).abs().max() < 1e-10 * recording["logits_max_abs"]


def test_the_training_loss_and_the_norms_of_gradients_are_the_recorded_ones(recorded):
    recording, model = recorded
    model.set_distilled_training()
    logits, distilled = model.train()(made_up_images())
    model.set_distilled_training(False)
    loss = (logits.square().mean() + distilled.square().mean()) / 2
    loss.backward()
    assert loss.item() == pytest.approx(recording["train_loss"], rel=1e-9)
    names = published_names(recording, model)
    gradients = {names[name]: p.grad.norm().item() for name, p in model.named_parameters()}
    assert len(recording["grad_norms"]) == 12
    for name, theirs in recording["grad_norms"].items():  # those below 1e-9 are zero but for rounding
        assert gradients[name] == pytest.approx(theirs, rel=1e-7, abs=1e-9), name


def test_published_names_and_shapes_become_ours_without_a_leftover(recorded):
    recording, model = recorded
    theirs = {name: torch.empty(shape) for name, shape in recording["shapes"].items()}
    converted = {name: list(w.shape) for name, w in checkpoint_filter_fn(theirs, model).items()}
    assert converted == {name: list(w.shape) for name, w in model.state_dict().items()}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_agree_to_the_unit(name):
    with torch.device("meta"):
        model = timm.create_model(name)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


@torch.no_grad()
@pytest.mark.parametrize("name", RECORDED)
def test_images_of_any_size_pass_alone_and_in_one_batch(name):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5).double().eval()
    images = [torch.randn(3, *size, dtype=torch.double) for size in ((104, 136), (32, 32))]
    alone = torch.cat([model(image[None]) for image in images])
    batch = Batch.from_data_list([vig_pyg.image_data(image) for image in images])
    torch.testing.assert_close(model(batch), alone)
    maps = timm.create_model(name, features_only=True).eval()(torch.randn(1, 3, 104, 136))
    assert [m.shape[2:] for m in maps] == [(26, 34), (13, 17), (7, 9), (4, 5)]


def test_a_graph_or_an_operator_of_another_kind_takes_the_place_of_the_published():
    torch.manual_seed(0)
    images = torch.randn(2, 3, 64, 64)
    for options in (
        {"graph": "knn", "k": 4},
        {"graph": "window", "k": 4},
        {"graph": "cross"},
        {"conv": "edge", "graph": "axial"},
        {"conv": "gat"},
        {"conv": "sage", "graph": ("cross", "axial", "greedy", "complete")},
        {"graph_options": {"wrap": False}},
        {"conv_options": {}},
    ):
        model = timm.create_model("greedyvig_small", num_classes=3, **options).train()
        model(images).sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert timm.create_model("vig_micro", graph="greedy", conv_options={"floor": True})(torch.randn(2, 3, 32, 32)).shape


def test_what_no_graph_or_operator_takes_is_refused():
    for options, error, message in (
        ({"graph": "axial", "k": 4}, TypeError, "graph 'axial' has no option 'k'"),
        ({"graph": "knn", "steps": (1, 1)}, TypeError, "graph 'knn' has no option 'step'"),
        ({"graph_options": {"warp": False}}, TypeError, "graph 'axial' has no option 'warp'"),
        ({"conv_options": {"flor": True}}, TypeError, "operator 'max_relative' has no option 'flor'"),
        ({"conv_options": {"heads": 2}}, TypeError, "conv_options may not hold 'heads'"),
        ({"graph": ("axial",)}, ValueError, "graph has 1 entries for 2 stages"),
        ({"steps": (1, 2, 3)}, ValueError, "steps has 3 entries for 2 stages"),
        ({"depths": ((1, 1), (0, 0))}, ValueError, "the number of blocks of a stage must be at least 1, got 0"),
        ({"depths": (2, 2)}, TypeError, "depths must hold a pair"),
        ({"depths": ((1, 1),)}, ValueError, "depths must have one entry per stage, got 1 for 2"),
        ({"drop_path_slip": 1}, TypeError, "drop_path_slip must be True or False"),
    ):
        with pytest.raises(error, match=message):
            MobileViG(**{**SMALL, **options})


def test_stochastic_depth_rises_over_all_blocks_or_as_in_the_code_of_mobilevigv2():
    def rates(**options):
        model = MobileViG(**{**SMALL, "depths": ((2, 1), (2, 2))}, drop_path_rate=0.6, **options)
        kinds = (layer for layer in model.blocks if isinstance(layer, Block | InvertedResidual))
        return [(layer.grapher if isinstance(layer, Block) else layer).drop_path.drop_prob for layer in kinds]

    assert rates() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert rates(drop_path_slip=True) == pytest.approx([0, 0, 0, 0.1, 0.1, 0.1, 0.2])


def test_two_classifiers_act_as_in_timms_distilled_models():
    torch.manual_seed(0)
    model, images = MobileViG(**SMALL).eval(), torch.randn(2, 3, 32, 32)
    features = model.forward_head(model.forward_features(images), pre_logits=True)
    both = [classifier(features) for classifier in model.get_classifier()]
    torch.testing.assert_close(model(images), (both[0] + both[1]) / 2)
    assert model.train()(images).shape == (2, 5)
    model.set_distilled_training()
    assert [out.shape for out in model(images)] == [(2, 5), (2, 5)]
    assert model.eval()(images).shape == (2, 5)
    model.reset_classifier(3)
    assert [layer.out_features for layer in model.get_classifier()] == [3, 3]
    model.reset_classifier(0)
    features = model.head.fc1(model.forward_features(images).mean((2, 3)))
    torch.testing.assert_close(model(images), features)
    with pytest.raises(ValueError, match="distilled=True"):
        MobileViG(**SMALL, distilled=False).set_distilled_training()


def test_classifiers_of_other_classes_stay_new_both(tmp_path):
    torch.save(MobileViG(**SMALL).state_dict(), tmp_path / "weights.pth")
    model = MobileViG(**{**SMALL, "num_classes": 7})
    with pytest.warns(UserWarning, match="has 5 classes and the model 7: its classifier stays new"):
        vig_pyg.load_checkpoint(model, tmp_path / "weights.pth")


def test_the_configurations_say_where_weights_are_as_far_as_that_is_known():
    cfgs = {name: cfg.default for name, cfg in default_cfgs.items()}
    assert [name for name, cfg in cfgs.items() if cfg.url] == ["mobilevig_small", "greedyvig_small"]
    assert {cfg.classifier for cfg in cfgs.values()} == {("head.fc2", "head.fc2_dist")}
    assert {cfg.mean for cfg in cfgs.values()} == {(0.485, 0.456, 0.406)}
    with pytest.raises(RuntimeError, match="No pretrained weights exist"):
        timm.create_model("adaptvig_small", pretrained=True)


# One small model of each family; the graphs and operators of its stages are the published ones.
FEW = {
    "mobilevig_tiny": {"steps": (2, 2)},
    "mobilevigv2_tiny": {"steps": (4, 2)},
    "greedyvig_small": {"steps": (4, 2)},
    "adaptvig_small": {
        "steps": (4, 2),
        "graph": ("gated", "complete"),
        "conv": ("max_relative", "attention"),
        "conv_options": {"floor": True},
    },
}


def settled(name):
    """Return a small model whose norms have seen images like those it gets, and two of these."""
    torch.manual_seed(0)
    model, images = timm.create_model(name, **{**SMALL, **FEW[name]}), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        for _ in range(20):
            model.train()(images)
        for parameter_name, parameter in model.named_parameters():
            if "layer_scale" in parameter_name:
                parameter.fill_(0.5)
    return model.eval(), images


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("name", FEW)
def test_an_exported_model_gives_the_same_logits(name, dynamic, tmp_path):
    model, images = settled(name)
    export(model, images, tmp_path / "model.onnx", "onnx", dynamic)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for count in (1, 2) if dynamic else (2,):
        logits = torch.from_numpy(session.run(None, {"images": images[:count].numpy()})[0])
        with torch.no_grad():
            torch.testing.assert_close(logits, model(images[:count]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", FEW)
def test_a_compiled_model_gives_the_same_logits_and_gradients(name):
    torch.compiler.reset()  # what it learned of a graph whose edges are values holds for no other
    model, images = settled(name)
    compiled = torch.compile(model, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(images), model(images), rtol=1e-4, atol=1e-4)
    found = []
    for module in (compiled, model):
        model.zero_grad()
        module(images).square().sum().backward()
        found.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-4 * found[1].abs().max().item())
