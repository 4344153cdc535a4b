"""Weights from files of every layout, and files that are none."""

import copy
import pickle
import warnings

import pytest
import timm
import torch
from safetensors.torch import save_file

import vig_pyg
from tests.models.published import mmpretrain_state, published_state

MODELS = ["vig_micro", "pvig_micro"]
WRAPPINGS = {
    "plain": lambda state: state,
    "under model": lambda state: {"model": state, "epoch": 3},
    "under state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "under module.": lambda state: {f"module.{n}": w for n, w in state.items()},
    "under state_dict under module.": lambda state: {"state_dict": {f"module.{n}": w for n, w in state.items()}},
}


def trained(name, **options):
    """A model whose weights and statistics all differ from those of a new one."""
    torch.manual_seed(1)
    model = timm.create_model(name, **options)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.1)
    return model


def fresh(name, **options):
    torch.manual_seed(2)
    return timm.create_model(name, **options)


def assert_equal_weights(model, other, but=()):
    ours, theirs = model.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert [n for n in ours if n not in but and not torch.equal(ours[n], theirs[n])] == []


def with_relative_positions(model):
    """The published layout with the fixed tables that pyramids store in every Grapher."""
    state = published_state(model)
    for name in [n for n in state if n.endswith(".0.fc1.0.weight")]:
        state[name.replace("fc1.0.weight", "relative_pos")] = torch.rand(1, 64, 16)
    return state


LAYOUTS = {
    "ours": lambda model: model.state_dict(),
    "published": published_state,
    "published with tables": with_relative_positions,
    "mmpretrain": mmpretrain_state,
    "mmpretrain with stem.convs": lambda model: {
        n.replace("backbone.stem.", "backbone.stem.convs."): w for n, w in mmpretrain_state(model).items()
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("name", MODELS)
def test_every_layout_in_every_wrapping_loads(name, layout, wrapping, tmp_path):
    source, model = trained(name), fresh(name)
    path = tmp_path / "weights.pth"
    torch.save(WRAPPINGS[wrapping](LAYOUTS[layout](source)), path)
    assert vig_pyg.load_checkpoint(model, path) is model
    assert_equal_weights(model, source)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("conv", ["edge", "gin", "sage"])
@pytest.mark.parametrize("name", MODELS)
def test_every_layout_loads_with_every_operator(name, conv, layout):
    source, model = trained(name, conv=conv), fresh(name, conv=conv)
    vig_pyg.load_checkpoint(model, LAYOUTS[layout](source))
    assert_equal_weights(model, source)


@pytest.mark.parametrize("ending", [".pth", ".pth.tar", ".pt", ".safetensors"])
@pytest.mark.parametrize("layout", ["ours", "published", "mmpretrain"])
def test_every_kind_of_file_loads(layout, ending, tmp_path):
    source, model = trained("pvig_micro"), fresh("pvig_micro")
    path = tmp_path / f"weights{ending}"
    save = save_file if ending == ".safetensors" else torch.save
    save(LAYOUTS[layout](source), path)
    vig_pyg.load_checkpoint(model, str(path))
    assert_equal_weights(model, source)


def test_the_older_file_format_of_torch_loads(tmp_path):
    source, model = trained("vig_micro"), fresh("vig_micro")
    torch.save(published_state(source), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    vig_pyg.load_checkpoint(model, tmp_path / "old.pth")
    assert_equal_weights(model, source)


def test_mmpretrain_names_are_the_documented_ones():
    isotropic, pyramid = mmpretrain_state(fresh("vig_micro")), mmpretrain_state(fresh("pvig_micro"))
    assert {
        "backbone.pos_embed",
        "backbone.stem.0.weight",
        "backbone.blocks.3.1.fc2.0.weight",
    } <= isotropic.keys()
    assert {"backbone.stages.0.0.0.fc1.0.weight", "backbone.stages.1.0.0.weight"} <= pyramid.keys()
    assert {"backbone.stages.1.0.1.running_var", "backbone.stages.1.2.1.fc2.1.bias"} <= pyramid.keys()
    assert isotropic["head.fc1.weight"].dim() == pyramid["head.fc2.weight"].dim() == 2


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", MODELS)
def test_another_number_of_classes_keeps_the_classifier_and_warns(name, layout):
    source, model = trained(name), fresh(name, num_classes=7)
    classifier = copy.deepcopy(model.head.fc2)
    with pytest.warns(UserWarning, match="10 classes and the model 7"):
        vig_pyg.load_checkpoint(model, LAYOUTS[layout](source))
    assert torch.equal(model.head.fc2.weight, classifier.weight)
    assert torch.equal(model.head.fc2.bias, classifier.bias)
    model.reset_classifier(10)
    assert_equal_weights(model, source, but=("head.fc2.weight", "head.fc2.bias"))


def test_equal_classes_load_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vig_pyg.load_checkpoint(fresh("vig_micro"), published_state(trained("vig_micro")))


def test_a_model_without_classifier_takes_the_rest():
    source, features, hidden = trained("vig_micro"), fresh("vig_micro", num_classes=0), fresh("vig_micro")
    hidden.reset_classifier(0)
    for model in (features, hidden):
        vig_pyg.load_checkpoint(model, published_state(source))
    source.reset_classifier(0)
    assert_equal_weights(hidden, source)
    source.head.prune(source.num_features)
    assert_equal_weights(features, source)


@pytest.mark.parametrize("img_size", [64, (48, 32)])
@pytest.mark.parametrize("name", MODELS)
def test_positions_are_resized_to_another_image_size(name, img_size):
    source, model = trained(name), fresh(name, img_size=img_size)
    shape = model.pos_embed.shape
    vig_pyg.load_checkpoint(model, published_state(source))
    assert model.pos_embed.shape == shape
    expected = torch.nn.functional.interpolate(source.pos_embed, shape[2:], mode="bicubic", antialias=True)
    assert torch.equal(model.pos_embed, expected)
    assert torch.equal(model.head.fc2.weight, source.head.fc2.weight)


def test_weights_are_copied_not_shared():
    source, model = trained("vig_micro"), fresh("vig_micro")
    state = source.state_dict()
    vig_pyg.load_checkpoint(model, state)
    state["head.fc2.bias"].zero_()
    assert model.head.fc2.bias.abs().min() > 0


# What cannot be loaded ##############################################################################


class Harmful:
    """Unpickling it calls a function of the attacker's choice."""

    def __reduce__(self):
        return print, ("executed",)


def cut(source, path, share, **options):
    torch.save(source.state_dict(), path, **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def cut_safetensors(source, path, share):
    save_file(source.state_dict(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def pickled(content):
    return lambda path: path.write_bytes(pickle.dumps(content))


BAD_FILES = {
    "text": ("x.pth", lambda path: path.write_text("these are not the weights you are looking for\n" * 9)),
    "one letter": ("x.pth", lambda path: path.write_text("a")),
    "noise": ("x.pth", lambda path: path.write_bytes(bytes(range(256)) * 9)),
    "empty": ("x.pth", lambda path: path.write_bytes(b"")),
    "empty safetensors": ("x.safetensors", lambda path: path.write_bytes(b"")),
    "text as safetensors": ("x.safetensors", lambda path: path.write_text("no weights here, only words\n")),
    "a pickled list": ("x.pth", pickled([1, 2])),
    "a saved list": ("x.pth", lambda path: torch.save([1, 2], path)),
    "a saved tensor": ("x.pth", lambda path: torch.save(torch.ones(3), path)),
    "an empty dict": ("x.pth", lambda path: torch.save({}, path)),
    "numbers": ("x.pth", lambda path: torch.save({"epoch": 3, 4: 5}, path)),
    "tensors under numbers": ("x.pth", lambda path: torch.save({1: torch.ones(2)}, path)),
    "zip of something else": ("x.pth", lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18))),
    "cut in the middle": ("x.pth", lambda path: cut(trained("vig_micro"), path, 0.5)),
    "cut near the end": ("x.pth", lambda path: cut(trained("vig_micro"), path, 0.99)),
    "cut near the start": ("x.pth", lambda path: cut(trained("vig_micro"), path, 0.001)),
    "older format, cut": (
        "x.pth",
        lambda path: cut(trained("vig_micro"), path, 0.5, _use_new_zipfile_serialization=False),
    ),
    "safetensors, cut": ("x.safetensors", lambda path: cut_safetensors(trained("vig_micro"), path, 0.5)),
    "safetensors, header cut": (
        "x.safetensors",
        lambda path: cut_safetensors(trained("vig_micro"), path, 0.01),
    ),
    "code": ("x.pth", lambda path: torch.save({"model": Harmful()}, path)),
    "pickled code": ("x.pth", pickled({"model": Harmful()})),
    "another width": ("x.pth", lambda path: torch.save(trained("vig_micro", channels=64).state_dict(), path)),
    "another depth": ("x.pth", lambda path: torch.save(published_state(trained("vig_micro", depth=5)), path)),
    "fewer blocks": ("x.pth", lambda path: torch.save(mmpretrain_state(trained("vig_micro", depth=3)), path)),
    "another operator": (
        "x.pth",
        lambda path: torch.save(trained("vig_micro", conv="gin").state_dict(), path),
    ),
    "other heads": ("x.pth", lambda path: torch.save(trained("vig_micro", heads=1).state_dict(), path)),
    "a pyramid": ("x.pth", lambda path: torch.save(published_state(trained("pvig_micro")), path)),
    "a resnet": ("x.pth", lambda path: torch.save(timm.create_model("resnet18").state_dict(), path)),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_refused_in_one_sentence_and_changes_nothing(kind, tmp_path, capfd):
    name, write = BAD_FILES[kind]
    path = tmp_path / name
    write(path)
    model = fresh("vig_micro")
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match=r"is no checkpoint|is not of this ViG") as caught:
        vig_pyg.load_checkpoint(model, path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert len(sentence) - len(str(path)) < 200
    assert_equal_weights(model, before)
    assert "executed" not in capfd.readouterr().out


@pytest.mark.parametrize("share", [i / 16 for i in range(16)])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_cut_anywhere_is_refused(zipped, share, tmp_path):
    model = fresh("vig_micro", channels=16, depth=1)
    cut(model, tmp_path / "x.pth", share, _use_new_zipfile_serialization=zipped)
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match="cut off"):
        vig_pyg.load_checkpoint(model, tmp_path / "x.pth")
    assert_equal_weights(model, before)


@pytest.mark.parametrize("name", ["missing.pth", "missing.safetensors", ""])
def test_a_missing_file_is_named(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path / name)):
        vig_pyg.load_checkpoint(fresh("vig_micro"), tmp_path / name)


def test_the_sentence_on_another_model_says_what_differs():
    with pytest.raises(ValueError, match=r"the state dict is not of this ViG: .*another shape, 'pos_embed' first"):
        vig_pyg.load_checkpoint(fresh("vig_micro"), trained("vig_micro", channels=64).state_dict())


def test_a_part_of_the_weights_is_refused():
    state = trained("vig_micro").state_dict()
    del state["blocks.0.ffn.fc1.linear.bias"]
    model = fresh("vig_micro")
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match=r"1 weights are missing, 'blocks\.0\.ffn\.fc1\.linear\.bias' first"):
        vig_pyg.load_checkpoint(model, state)
    assert_equal_weights(model, before)


def test_a_state_dict_given_directly_is_not_changed():
    state = {"state_dict": published_state(trained("vig_micro"))}
    names = list(state["state_dict"])
    with pytest.warns(UserWarning):
        vig_pyg.load_checkpoint(fresh("vig_micro", num_classes=3), state)
    assert list(state["state_dict"]) == names
