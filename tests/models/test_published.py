"""Published models are built as timm builds its own."""

import pytest
import timm
import torch

import vig_pyg
from vig_pyg.models.published import RELEASE, build_published, published_cfg


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
