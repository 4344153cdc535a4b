"""What is used of timm beyond its documented interface is there, and means what we take it for."""

import json

import timm
from timm.data import resolve_data_config

from tests.seen import check_seen
from vig_pyg.tasks.timm_internals import SEEN, write_model_config


def test_this_version_of_timm_was_looked_at():
    check_seen("timm", SEEN, "vig_pyg/tasks/timm_internals.py")


def test_a_configuration_builds_the_model_again(tmp_path):
    model = timm.create_model("vig_micro", conv="gin", num_classes=2, in_chans=1)
    said = {"input_size": (1, 48, 48), "mean": (0.4,), "std": (0.2,), "crop_pct": 0.5}
    prepared = resolve_data_config(said, model=model)
    write_model_config(tmp_path / "config.json", model, ["cat", "dog"], prepared)
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=False)
    assert str(again) == str(model)
    assert json.dumps(resolve_data_config({}, model=again)) == json.dumps(prepared)
    assert json.loads((tmp_path / "config.json").read_text())["label_names"] == ["cat", "dog"]
