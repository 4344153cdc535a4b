"""WiGNet: outputs recorded from the authors' code, their names and parameters, and any size of image."""

import json
from pathlib import Path

import pytest
import timm
import torch
from torch_geometric.data import Batch

import vig_pyg
from tests.models.published import made_up, made_up_images, published_name
from vig_pyg.models.checkpoint import checkpoint_filter_fn
from vig_pyg.models.wignet import default_cfgs

RECORDED = Path(__file__).parents[1] / "data/published/successors/wignn_ti_224_gelu.json"
PARAMETERS = {  # of the authors' code
    ("wignet_tiny", 224): 10_714_376,
    ("wignet_tiny", 256): 10_760_456,
    ("wignet_small", 256): 27_328_712,
    ("wignet_medium", 256): 49_617_992,
    ("wignet_base", 256): 93_103_208,
}


@pytest.fixture(scope="module")
def recording():
    return json.loads(RECORDED.read_text())


@pytest.fixture(scope="module")
def model(recording):
    weights = {name: made_up(name, tuple(shape)) for name, shape in recording["shapes"].items()}
    return vig_pyg.load_checkpoint(timm.create_model("wignet_tiny", img_size=224).double(), weights)


def graphs_of(model):
    return [block.grapher.graph for block in model.blocks if hasattr(block, "grapher")]


def test_the_logits_are_the_recorded_ones(recording, model):
    seen = {}
    names = {f"backbone.{i}": block for i, block in enumerate(model.blocks)} | {"stem": model.stem}
    hooks = [
        part.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out[0]}))
        for name, part in names.items()
    ]
    with torch.no_grad():
        logits = model.eval()(made_up_images())
    for hook in hooks:
        hook.remove()
    theirs = torch.tensor(recording["logits"], dtype=torch.double)
    assert (logits[:, :32] - theirs).abs().max() < 1e-9 * recording["logits_max_abs"]
    assert logits.abs().max().item() == pytest.approx(recording["logits_max_abs"], rel=1e-9)
    assert logits.abs().mean(1).tolist() == pytest.approx(recording["logits_mean_abs"], rel=1e-9)
    assert len(seen) == 16
    for name, x in seen.items():
        if name != "stem":
            assert [x.mean().item(), x.std().item()] == pytest.approx(recording["blocks"][name], rel=1e-9, abs=1e-9)


def test_the_training_loss_and_the_norms_of_gradients_are_the_recorded_ones(recording, model):
    loss = model.train()(made_up_images()).square().mean()
    loss.backward()
    assert loss.item() == pytest.approx(recording["train_loss"], rel=1e-9)
    gradients = {published_name(name): p.grad.norm().item() for name, p in model.named_parameters()}
    assert len(recording["grad_norms"]) == 12
    for name, theirs in recording["grad_norms"].items():  # those below 1e-9 are zero but for rounding
        assert gradients[name] == pytest.approx(theirs, rel=1e-7, abs=1e-9), name


def test_published_names_and_shapes_become_ours_without_a_leftover(recording):
    with torch.device("meta"):
        model = timm.create_model("wignet_tiny", img_size=224)
        theirs = {name: torch.empty(shape) for name, shape in recording["shapes"].items()}
    converted = {name: list(w.shape) for name, w in checkpoint_filter_fn(theirs, model).items()}
    assert converted == {name: list(w.shape) for name, w in model.state_dict().items()}


@pytest.mark.parametrize(("name", "size"), PARAMETERS)
def test_parameters_agree_to_the_unit(name, size):
    with torch.device("meta"):
        model = timm.create_model(name, img_size=size)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name, size]


def test_windows_are_of_7_nodes_for_224_pixels_and_else_of_8_and_adapt():
    def first_stage(**options):
        with torch.device("meta"):
            return [(g.window, g.shift, g.adapt) for g in graphs_of(timm.create_model("wignet_tiny", **options))[:2]]

    assert first_stage(img_size=224) == first_stage(img_size=(448, 224)) == [(7, 0, False), (7, 3, False)]
    assert first_stage() == first_stage(img_size=512) == [(8, 0, True), (8, 4, True)]
    assert first_stage(graph_options={"adapt": False}) == [(8, 0, False), (8, 4, False)]
    assert first_stage(graph_options={"block": 0}) == [(8, 0, True)] * 2


def test_operator_and_graph_are_words_as_in_every_model():
    images = torch.randn(2, 3, 64, 64)
    for options in ({"conv": "edge"}, {"graph": "knn", "k": 4}, {"graph": "random", "k": 4}):
        assert timm.create_model("wignet_tiny", num_classes=3, **options).eval()(images).isfinite().all()
    with pytest.raises(TypeError, match="graph 'window' has no option 'windows'"):
        timm.create_model("wignet_tiny", graph_options={"windows": 4})
    with pytest.raises((TypeError, ValueError), match="img_size"):
        timm.create_model("wignet_tiny", img_size="224")


@torch.no_grad()
def test_images_of_any_size_pass_alone_and_in_one_batch():
    torch.manual_seed(0)
    model = timm.create_model("wignet_tiny", num_classes=5).double().eval()
    images = [torch.randn(3, *size, dtype=torch.double) for size in ((200, 264), (96, 72))]
    alone = torch.cat([model(image[None]) for image in images])
    batch = Batch.from_data_list([vig_pyg.image_data(image) for image in images])
    torch.testing.assert_close(model(batch), alone)
    maps = timm.create_model("wignet_tiny", features_only=True).eval()(torch.randn(1, 3, 200, 264))
    assert [list(m.shape[1:]) for m in maps] == [[48, 50, 66], [96, 25, 33], [240, 13, 17], [384, 7, 9]]


@torch.no_grad()
def test_a_fused_model_gives_equal_logits(model):
    images = made_up_images(1)
    expected = model.eval()(images)
    assert (vig_pyg.fuse_for_inference(model)(images) - expected).abs().max() <= 1e-10 * expected.abs().max()


def test_only_the_tiny_model_has_weights_and_all_images_are_prepared_alike():
    cfgs = {name: cfg.default for name, cfg in default_cfgs.items()}
    assert [name for name, cfg in cfgs.items() if cfg.url] == ["wignet_tiny"]
    assert {cfg.mean for cfg in cfgs.values()} == {cfg.std for cfg in cfgs.values()} == {(0.5, 0.5, 0.5)}
    assert [cfg.crop_pct for cfg in cfgs.values()] == [0.9, 0.9, 0.9, 0.95]
