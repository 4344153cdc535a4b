"""A task that a user adds in one file is trained, resumed, evaluated and used by the commands as ours are."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.tasks import slant
from vig_pyg.data.digits import load_digits

HERE = Path(__file__).parent
COMMAND = [sys.executable, "-c", "import sys; from vig_pyg.cli import main; sys.argv[0] = 'vig-pyg'; main()"]


def call(place: Path, *words: object) -> subprocess.CompletedProcess:
    return subprocess.run([*COMMAND, *map(str, words)], cwd=place, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Return a folder with the file of the task and a run of it."""
    folder = tmp_path_factory.mktemp("slant")
    for name in ("slant.py", "slant.yaml"):
        shutil.copy(HERE / name, folder)
    said = call(folder, "train", "--task", "slant:Slant", "--out", "run", "--device", "cpu")
    assert said.returncode == 0, said.stdout + said.stderr
    return folder


def test_the_file_is_short():
    assert len((HERE / "slant.py").read_text().splitlines()) < 60


def test_the_slant_is_that_of_a_line():
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    line = 2 * ((columns - 16 - 0.4 * (rows - 15.5)).abs() < 2).float() - 1
    assert slant.slant(line[None, None]).item() == pytest.approx(0.4, abs=0.03)


def test_it_learns(place):
    rows = (place / "run" / "metrics.csv").read_text().splitlines()
    scores = [float(row.split(",")[2]) for row in rows[1:]]
    assert rows[0].split(",")[2] == "r2" and len(scores) == 3 and scores[-1] > max(0.3, scores[0])


def test_it_is_resumed(place):
    shutil.copytree(place / "run", place / "cut")
    last = sorted((place / "cut").glob("state-*"))[-1]
    for folder in (last, place / "cut" / "last"):
        shutil.rmtree(folder)
    said = call(place, "train", "--resume", "--out", "cut", "--device", "cpu", "--trust")
    assert said.returncode == 0, said.stdout + said.stderr
    weights = [(place / run / "last" / "model.safetensors").read_bytes() for run in ("run", "cut")]
    assert weights[0] == weights[1]


def test_it_is_evaluated(place):
    said = call(place, "eval", "run/last", "--out", "eval", "--device", "cpu", "--workers", 0, "--trust")
    assert said.returncode == 0, said.stdout + said.stderr
    measured = json.loads((place / "eval" / "figures.json").read_text())["r2"]
    written = float((place / "run" / "metrics.csv").read_text().splitlines()[-1].split(",")[2])
    assert measured == pytest.approx(written, abs=1e-5)


def test_it_predicts(place):
    from torchvision.io import write_png

    digits = load_digits().test_images[:40]
    chosen = digits[slant.slant(digits).argsort()[[0, -1]]]
    for name, digit in zip(("left", "right"), chosen, strict=True):
        write_png(((digit + 1) * 127.5).round().byte(), str(place / f"{name}.png"))
    said = call(place, "predict", "run", "left.png", "right.png", "--device", "cpu", "--trust")
    assert said.returncode == 0, said.stdout + said.stderr
    left, right = (float(row.split("slant")[1].split()[0]) for row in said.stdout.splitlines() if "slant " in row)
    assert left < right


@pytest.mark.parametrize(
    "words", [("eval", "run"), ("predict", "run", "slant.py"), ("train", "--recipe", "slant.yaml")]
)
def test_a_file_does_not_choose_what_is_imported(place, words):
    said = call(place, *words, "--device", "cpu")
    assert said.returncode == 2 and "if you trust it, add --trust" in said.stdout.replace("\n", " ")


def test_keys_of_other_tasks_and_options_of_other_predictions_are_refused(place):
    said = call(place, "train", "--task", "slant:Slant", "mixup=0.8", "--device", "cpu")
    assert said.returncode == 2 and "mixup is for the task classify, not for slant:Slant" in said.stdout
    said = call(place, "predict", "run", "left.png", "--top", 3, "--device", "cpu", "--trust")
    assert said.returncode == 2 and "--top 3 changes nothing" in said.stdout
