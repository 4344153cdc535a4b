"""What lies in a file that someone else wrote is read, never executed."""

import importlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from tests.data.written_coco import coco_folder  # noqa: F401  (a fixture)
from vig_pyg.commands import app
from vig_pyg.data.coco import load_coco
from vig_pyg.manifest import sums_of
from vig_pyg.registry import refuse_imports
from vig_pyg.segmentation import ClassMap, load_segmenter
from vig_pyg.study.page import graph_page
from vig_pyg.study.views import view
from vig_pyg.tasks.detection import load_detector
from vig_pyg.tasks.segment import _shares
from vig_pyg.train import load_model, read_recipe

TINY = {"depth": 1, "channels": 16}
OPERATOR = """
from pathlib import Path
Path("imported").touch()
from vig_pyg.conv import GINConv as Mine
"""
REFUSED = "names the operator 'evil:Mine', whose module would be imported and executed"


def call(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Iterator[Path]:
    """Return a working folder with an operator that leaves a mark where it is imported, weights and an image."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    (tmp_path / "evil.py").write_text(OPERATOR)
    (tmp_path / "evil").mkdir()  # the folder of a downloaded run
    model = timm.create_model("vig_micro", conv="gin", in_chans=1, num_classes=10, **TINY)
    save_file(model.state_dict(), tmp_path / "evil" / "model.safetensors")
    config: dict[str, Any] = {"architecture": "vig_micro", "pretrained_cfg": {"num_classes": 10}}
    config["model_args"] = {**TINY, "in_chans": 1, "num_classes": 10, "conv": "evil:Mine"}
    (tmp_path / "evil" / "config.json").write_text(json.dumps(config))
    shutil.move(tmp_path / "evil", tmp_path / "run")
    Image.new("L", (32, 32)).save(tmp_path / "image.png")
    yield tmp_path
    sys.modules.pop("evil", None)


DOORS = [
    ["predict", "run", "image.png", "--device", "cpu"],
    ["eval", "run", "--device", "cpu"],
    ["export", "run"],
    ["visualize", "image.png", "--weights", "run"],
]


@pytest.mark.parametrize("words", DOORS, ids=lambda words: words[0])
def test_no_command_imports_what_a_configuration_names(words, here) -> None:
    status, output = call(*words)
    assert status == 2 and REFUSED in output and "add --trust" in output
    assert not (here / "imported").exists() and str(here) not in sys.path


def test_trust_imports_it(here) -> None:
    status, output = call(*DOORS[0], "--trust")
    assert status == 0 and "image.png" in output and (here / "imported").exists(), output
    with pytest.raises(ValueError, match="add --trust"):
        load_model("run")


def test_timm_imports_nothing_that_a_configuration_names(here) -> None:
    with pytest.raises(ValueError, match="names the operator 'evil:Mine': if you trust it, import its module first"):
        timm.create_model("local-dir:run", pretrained=True)
    assert not (here / "imported").exists()
    sys.path.insert(0, str(here))
    importlib.import_module("evil")
    assert timm.create_model("local-dir:run", pretrained=True).num_classes == 10


def test_a_recipes_operator_is_imported_only_if_the_user_names_it_too(here) -> None:
    recipe = read_recipe("digits", ["conv=evil:Mine", "epochs=1", "warmup_epochs=0", "model_options.depth=1"])
    recipe.save(here / "recipe.yaml")
    words = ["train", "--recipe", "recipe.yaml", "--out", "new", "--device", "cpu"]
    status, output = call(*words)
    assert status == 2 and REFUSED in output and not (here / "imported").exists()
    status, output = call(*words, "batch=2000", "device_batch=2000", "--conv", "evil:Mine")
    assert "batch=2000 is more than" in output and (here / "imported").exists()


@pytest.mark.parametrize(
    "crafted",
    [
        {"conv": "evil:Mine"},
        {"model_options": {"conv": "evil:Mine"}},
        {"model_options": {"blocks": [{"options": {"conv": "evil:Mine"}}]}},
        {"task": "segment", "head_options": {"backbone_options": {"conv": "evil:Mine"}}},
    ],
    ids=["conv", "model_options", "in a list", "head_options"],
)
@pytest.mark.parametrize("words", [["train", "--recipe", "run/recipe.yaml"], ["train", "--resume"], ["study", "heads"]])
def test_no_recipe_imports_what_it_names_at_any_depth(words, crafted, here) -> None:
    text = json.dumps({"model": "vig_micro", "data": "digits", **crafted})  # JSON is YAML
    (here / "run" / "recipe.yaml").write_text(text)
    out = ["--out", "run"] if "--resume" in words else ["--out", "new"]
    recipe = ["--recipe", "run/recipe.yaml"] if words[0] == "study" else []
    status, _ = call(*words, *recipe, *out, "--device", "cpu")
    assert status == 2 and not (here / "imported").exists() and not (here / "new").exists()
    assert str(here) not in sys.path


class Harmful:
    """Leaves a mark where it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


PICKLES = [
    ["train", "--out", "new", "--init", "x.pth"],
    ["train", "--out", "new", "--init", "x.bin"],
    ["predict", "x.pth", "image.png", "--model", "vig_micro"],
    ["eval", "x.pth", "--model", "vig_micro"],
    ["export", "x.pth", "--model", "vig_micro"],
    ["visualize", "image.png", "--weights", "x.pth", "--model", "vig_micro"],
    ["predict", "run", "image.png"],
]


@pytest.mark.parametrize("words", PICKLES, ids=" ".join)
@pytest.mark.parametrize("write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_no_command_unpickles_weights(write, words, here) -> None:
    for path in (here / "x.pth", here / "x.bin", here / "run" / "model.safetensors"):
        write({"model": Harmful()}, path)
    (here / "run" / "config.json").write_text((here / "run" / "config.json").read_text().replace("evil:Mine", "gin"))
    status, output = call(*words)
    assert status == 2 and output.count("Error: ") == 1 and not (here / "executed").exists(), output


def test_no_state_is_unpickled(here) -> None:
    words = ["train", "--out", "out", "--device", "cpu", "epochs=1", "warmup_epochs=0", "batch=1024"]
    status, output = call(*words, "device_batch=1024", "conv=gin", "model_options.depth=1", "model_options.channels=16")
    assert status == 0, output
    state = next((here / "out").glob("state-*"))
    torch.save({"progress": Harmful()}, state / "training.pt")
    (state / "SHA256SUMS").write_text(sums_of([state / "training.pt"]))  # whoever crafts a state lists it too
    torch.save(Harmful(), state / "custom_checkpoint_0.pkl")
    status, output = call("train", "--resume", "--out", "out", "--device", "cpu")
    assert status == 2 and "training.pt holds more than a state" in output and not (here / "executed").exists()


@pytest.mark.parametrize(("task", "load"), [("detect", load_detector), ("segment", load_segmenter)])
def test_what_stands_on_a_backbone_imports_nothing_either(task, load, here) -> None:
    config = {"task": task, "backbone": "pvig_micro", "options": {"backbone_options": {"conv": "evil:Mine"}}}
    (here / "run" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=REFUSED):
        load("run")
    (here / "run" / "config.json").write_text(json.dumps(config | {"backbone": f"local-dir:{here / 'run'}"}))
    with pytest.raises(ValueError, match="there is no model called 'local-dir:"):
        load("run")
    assert not (here / "imported").exists()


def test_operators_of_the_registry_and_those_the_user_gave_are_taken() -> None:
    refuse_imports({"conv": "edge", "options": {"conv": None}}, "a file")
    refuse_imports({"options": {"conv": "mine:Conv"}}, "a file", ["mine:Conv"])
    with pytest.raises(ValueError, match="a file names the operator 'mine:Conv'"):
        refuse_imports({"blocks": [{"conv": ["edge", "mine:Conv"]}]}, "a file")
    with pytest.raises(ValueError, match="a file names the operator 'mine:Conv'"):
        refuse_imports({"options": {"conv": "mine:Conv"}}, "a file", ["other:Conv"])


def test_a_recipe_executes_nothing(tmp_path) -> None:
    (tmp_path / "recipe.yaml").write_text(f"model: !!python/object/apply:os.mkdir ['{tmp_path / 'executed'}']\n")
    status, output = call("train", "--recipe", tmp_path / "recipe.yaml", "--out", tmp_path / "run")
    assert status == 2 and "is no recipe in YAML" in output and not (tmp_path / "executed").exists()


READ = """
import sys, torch
from vig_pyg.train import load_data
next(iter(load_data(sys.argv[1], classes=2).train))
"""


def test_shards_execute_nothing(tmp_path) -> None:
    pytest.importorskip("webdataset")
    split = {"filenames": [f"pipe:touch {tmp_path / 'executed'}"], "shard_lengths": [9], "num_samples": 9}
    splits = {name: split | {"name": name} for name in ("train", "validation")}
    (tmp_path / "_info.json").write_text(json.dumps({"splits": splits}))
    command = [sys.executable, "-c", READ, f"wds/{tmp_path}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:  # it looks for the shard again and again
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "executed").exists()


def test_annotations_name_no_file_outside_the_data(coco_folder) -> None:  # noqa: F811
    folder = coco_folder(lambda content: content["images"][0].update(file_name="../../secret.png"))
    Image.new("RGB", (60, 40)).save(folder.parent / "secret.png")
    with pytest.raises(FileNotFoundError, match=r"image 1 has no file .*secret\.png"):
        load_coco(str(folder))


def test_names_are_no_markup_in_pages() -> None:
    name = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    page = graph_page([view(timm.create_model("vig_micro").eval(), torch.rand(3, 32, 32), name, name)])
    assert "alert(1)" in page and "<script>alert" not in page and "<img src=x" not in page


NAMES = ["[/x]", "[red]y[/]", "[link=x]z[/link]"]


def test_names_are_no_markup_on_the_screen(here) -> None:
    config = json.loads((here / "run" / "config.json").read_text().replace("evil:Mine", "gin"))
    config["label_names"] = [f"[/x]{digit}" for digit in range(10)]
    (here / "run" / "config.json").write_text(json.dumps(config))
    for name in NAMES[1:]:
        file = here / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(here / "image.png", file)
        status, output = call("predict", "run", file, "--device", "cpu")
        assert status == 0 and f"{name}.png" in output and "[/x]" in output, output
    for name in NAMES:
        status, output = call("predict", name, "image.png")
        assert status == 2 and name in output, output


def test_a_picture_that_does_not_decode_is_named_without_markup(tmp_path) -> None:
    shown = _shares(ClassMap(tmp_path, None, None, "[/x] is no image"), ["a"])
    assert shown == "does not decode: [/x] is no image"
