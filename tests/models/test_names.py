"""Names that timm knows pass; others are refused with the nearest."""

import pytest
import timm

import vig_pyg  # noqa: F401
from vig_pyg.models.names import check_model_name, is_ours, list_ours


@pytest.mark.parametrize("name", ["vig_tiny", "resnet50", "resnet50.a1_in1k", "swin_tiny_patch4_window7_224"])
def test_what_timm_builds_is_known(name):
    check_model_name(name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("vig_tny", r"there is no model called 'vig_tny': did you mean vig_tiny\?"),
        ("@@@", "there is no model called '@@@': vig-pyg models lists ours"),
        (None, "there is no model called None"),
        (["vig_tiny"], r"there is no model called \['vig_tiny'\]"),
        ("resnet50.nowhere", "there is no model called 'resnet50.nowhere': Invalid pretrained tag"),
    ],
)
def test_another_name_is_refused(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_model_name(name)


def test_ours_are_all_that_are_called_vig():
    found = {name for name in timm.list_models() if is_ours(name)}
    ours = ("vig_", "pvig_", "wignet_", "mobilevig", "greedyvig_", "adaptvig_")
    assert found == {name for name in timm.list_models() if name.startswith(ours)} and len(found) == 27
    assert sorted(list_ours()) == sorted(found)
