"""``vig-pyg convert``, as a person types it."""

import timm
import torch

import vig_pyg
from tests.commands.test_commands import call, done
from tests.models.published import mmpretrain_state, published_state
from vig_pyg.commands.convert import Layout


def test_weights_go_through_every_layout_and_come_back_equal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = timm.create_model("pvig_micro")
    torch.save(published_state(model), "release.pth")
    told = done("convert", "release.pth", "--to", "mmpretrain", "--model", "pvig_micro")
    assert told.startswith("Written to pvig_micro.mmpretrain.pth") and "equal bit by bit" in told
    theirs, ours = torch.load("pvig_micro.mmpretrain.pth")["state_dict"], mmpretrain_state(model)
    assert theirs.keys() == ours.keys() and all(torch.equal(theirs[name], w) for name, w in ours.items())
    done("convert", "pvig_micro.mmpretrain.pth", "--to", "release", "--model", "pvig_micro", "--out", "again.pth")
    again = torch.load("again.pth")
    assert all(torch.equal(again[name], w) for name, w in published_state(model).items())
    done("convert", "again.pth", "--to", "timm", "--model", "pvig_micro")
    last = vig_pyg.load_checkpoint(timm.create_model("pvig_micro"), "pvig_micro.timm.safetensors")
    assert all(torch.equal(w, model.state_dict()[name]) for name, w in last.state_dict().items())
    assert [layout.value for layout in Layout] == ["timm", "release", "mmpretrain"]


def test_a_run_is_converted_with_its_operator(run, tmp_path):
    told = done("convert", run, "--to", "release", "--out", tmp_path / "x.pth")
    assert "vig_micro in the layout of release" in told
    assert "backbone.0.0.graph_conv.gconv.nn.0.weight" in torch.load(tmp_path / "x.pth")


def test_what_cannot_be_converted_is_a_sentence(run, tmp_path):
    torch.save(timm.create_model("mobilevig_tiny", num_classes=2).state_dict(), tmp_path / "m.pth")
    words = ("convert", tmp_path / "m.pth", "--model", "mobilevig_tiny", "--to", "release", "--out", tmp_path / "o.pth")
    status, output = call(*words)
    assert status == 2 and "names the weights of ViG and Pyramid ViG, not of MobileViG" in output
    assert not (tmp_path / "o.pth").exists()
    status, output = call("convert", run, "--to", "timm", "--out", tmp_path / "x.txt")
    assert status == 2 and "--out must end in .pth, .pt or .safetensors" in output
    status, output = call("convert", tmp_path / "m.pth", "--to", "timm", "--out", tmp_path / "x.pth")
    assert status == 2 and "add --model" in output
    same = ("convert", tmp_path / "m.pth", "--model", "mobilevig_tiny", "--to", "timm", "--out", tmp_path / "m.pth")
    status, output = call(*same)
    assert status == 2 and "would replace the file" in output
