"""Published models are built as timm builds its own."""

import re
from urllib.error import URLError

import pytest
import timm
import torch

import vig_pyg
from tests.models.published import published_state
from vig_pyg.data.digits import load_digits
from vig_pyg.manifest import SUMS, DamagedError, sums_of
from vig_pyg.models.published import RELEASE, SHIPPED, build_published, digits_cfg, published_cfg


def test_a_configuration_is_one_of_timms():
    config = timm.models.PretrainedCfg(**published_cfg("https://host/file.pth", crop_pct=0.95))
    assert (config.url, config.crop_pct, config.num_classes) == ("https://host/file.pth", 0.95, 1000)


@pytest.mark.parametrize("name", ["vig_tiny", "pvig_base"])
def test_images_are_prepared_as_the_configuration_says(name):
    config = timm.get_pretrained_cfg(name)
    assert config.url.startswith(RELEASE) and config.mean == config.std == (0.5, 0.5, 0.5)


def test_a_model_is_built_on_a_device_and_in_a_type_of_number():
    build = (vig_pyg.ViG, "vig_micro", False, (0, 1))
    size = {"img_size": 32, "channels": 48, "depth": 2, "stride": 4}
    model = build_published(*build, device="meta", dtype=torch.bfloat16, **size)
    assert {(p.device.type, p.dtype) for p in model.parameters()} == {("meta", torch.bfloat16)}
    with pytest.raises(ValueError, match="device must be cpu, cuda, cuda:0 or the like, got 'abacus'"):
        build_published(*build, device="abacus", **size)
    with pytest.raises(TypeError, match=r"dtype must be a torch.dtype or None, got 'half'"):
        build_published(*build, dtype="half", **size)


def test_out_indices_are_the_maps_of_features_only():
    size = {"img_size": 32, "channels": 48, "depth": 3, "stride": 4}
    maps = build_published(vig_pyg.ViG, "vig_micro", False, (0, 2), features_only=True, **size)(
        torch.rand(1, 3, 32, 32)
    )
    assert [list(map_.shape) for map_ in maps] == [[1, 48, 8, 8]] * 2


NAME = "vig_ti_74.5.pth"
SMALL = {"channels": 16, "depth": 1}  # of a vig_tiny


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """The folder where weights are looked for, without a network."""

    def refuse(*_, **__):
        raise URLError("Name or service not known")

    monkeypatch.setattr("torch.hub.urlopen", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def test_without_a_network_a_sentence_says_which_file_belongs_where(offline):
    with pytest.raises(ConnectionError) as caught:
        timm.create_model("vig_tiny", pretrained=True, **SMALL)
    assert str(caught.value) == (
        f"the weights of vig_tiny cannot be fetched from {RELEASE}/vig/{NAME} (Name or service not known): fetch "
        f"{NAME} by hand and place it at {offline / NAME}, or anywhere with pretrained_cfg_overlay={{'file': PATH}}"
    )


def test_a_file_placed_by_hand_is_read(offline, tmp_path):
    source = timm.create_model("vig_tiny", **SMALL)
    for file, options in {
        offline / NAME: {},
        tmp_path / "mine.pth": {"pretrained_cfg_overlay": {"file": str(tmp_path / "mine.pth")}},
        tmp_path / "cache" / NAME: {"cache_dir": tmp_path / "cache"},
    }.items():
        file.parent.mkdir(exist_ok=True)
        torch.save(published_state(source), file)
        model = timm.create_model("vig_tiny", pretrained=True, **SMALL, **options)
        assert torch.equal(model.head.fc2.weight, source.head.fc2.weight)
        file.unlink()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"there is no checkpoint file {tmp_path}/x.pth"):
        timm.create_model("vig_tiny", pretrained=True, pretrained_cfg_overlay={"file": str(tmp_path / "x.pth")})


def test_a_file_cut_off_or_with_another_checksum_is_refused(offline):
    file = offline / NAME
    torch.save(published_state(timm.create_model("vig_tiny", **SMALL)), file)
    (offline / SUMS).write_text(sums_of([file]))
    timm.create_model("vig_tiny", pretrained=True, **SMALL)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DamagedError, match=rf"{NAME} is damaged: its SHA-256 is not the one in {SUMS}"):
        timm.create_model("vig_tiny", pretrained=True, **SMALL)
    (offline / SUMS).unlink()
    with pytest.raises(ValueError, match=rf"{NAME} is no checkpoint, is cut off"):
        timm.create_model("vig_tiny", pretrained=True, **SMALL)


# What comes with the library ##################################################################


@pytest.mark.parametrize("name", ["vig_micro", "pvig_micro"])
def test_shipped_weights_read_the_held_out_digits_as_their_card_says(name, offline):
    model, split = timm.create_model(f"{name}.digits", pretrained=True).eval(), load_digits()
    with torch.no_grad():
        right = (model(split.test_images).argmax(1) == split.test_labels).sum().item()
    assert right / len(split.test_labels) > 0.985
    said = re.search(rf"`{name}.digits`.*\| (\d+) of 359", (SHIPPED / "README.md").read_text())
    assert abs(right - int(said[1])) <= 1  # another processor may round a tie differently
    assert timm.get_pretrained_cfg(f"{name}.digits").license == digits_cfg(name)["license"] == "mit"


def test_shipped_weights_are_small_whole_and_asked_for_by_name(tmp_path):
    files = sorted(SHIPPED.glob("*.safetensors"))
    assert len(files) == 2 and sum(file.stat().st_size for file in SHIPPED.iterdir()) < 8e6
    assert (SHIPPED / SUMS).read_text() == sums_of(files)
    assert timm.create_model("vig_micro").in_chans == 3  # as ever
    with pytest.raises(RuntimeError, match="No pretrained weights exist for vig_micro"):
        timm.create_model("vig_micro", pretrained=True)
