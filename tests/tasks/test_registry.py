"""Tasks are found by name, by what their recipes say, and by what weights were trained for."""

import json

import pytest

from tests.tasks import slant
from vig_pyg.tasks import Task
from vig_pyg.tasks.registry import TASKS, get_task, list_tasks, register_task, task_of, tasks_with


def test_a_name_is_registered_once(monkeypatch):
    monkeypatch.setattr(TASKS, "factories", dict(TASKS.factories))
    assert register_task("slanted")(slant.Slant) is get_task("slanted") and issubclass(get_task("slanted"), Task)
    with pytest.raises(ValueError, match="the name 'slanted' is taken"):
        register_task("slanted")(get_task("classify"))
    with pytest.raises(ValueError, match=r"no task is called 'slantd' \(did you mean 'slanted'\?\)"):
        get_task("slantd")
    with pytest.raises(TypeError, match=r"must be a subclass of vig_pyg\.tasks\.Task"):
        get_task("tests.tasks.slant:slant")
    with pytest.raises(TypeError, match="task must be a name, got"):
        get_task(["detect"])


def test_what_is_no_task_is_refused():
    with pytest.raises(TypeError, match=r"the task 'json:dumps' must be a subclass of vig_pyg.tasks.Task"):
        get_task("json:dumps")
    with pytest.raises(TypeError, match="task must be a name, got 3"):
        get_task(3)


def test_keys_tell_the_tasks_that_have_them():
    assert tasks_with("epochs") == list_tasks() and tasks_with("mixup") == ["classify"]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"task": "detct"}, r"config.json: no task is called 'detct' \(did you mean 'detect'\?\)"),
        ({"task": "a:B"}, "config.json names the task 'a:B', whose module would be imported"),
        ({"task": 3}, "config.json: task must be a name, got 3"),
    ],
)
def test_weights_tell_their_task(config, sentence, tmp_path):
    (tmp_path / "model.safetensors").touch()
    assert task_of(tmp_path) == "classify"  # as timm's own
    (tmp_path / "config.json").write_text(json.dumps({"task": "segment"}))
    assert task_of(tmp_path) == "segment"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=sentence):
        task_of(tmp_path)
