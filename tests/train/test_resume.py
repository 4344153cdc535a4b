"""A training that is interrupted, however it is, ends as one that is not."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.train.training import SMALL, small_digits
from vig_pyg.train import build_model, fit, load_model, read_recipe
from vig_pyg.train.run import states

SCRIPT = Path(__file__).with_name("training.py")
OFTEN = "checkpoint_minutes=1e-9"


def start(out: Path, *words: str) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parents[2])}
    default = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    command = [sys.executable, str(SCRIPT), str(out), OFTEN, *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **default)


def finish(out: Path, *words: str) -> None:
    process = start(out, *words)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output.decode()


def weights(out: Path) -> bytes:
    return (out / "last" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    finish(out)
    return out


def test_it_survives_being_killed_at_random_moments(uninterrupted, tmp_path):
    out, moment = tmp_path / "killed", random.Random()
    kills = 0
    for _ in range(3):
        process = start(out, *(["--resume"] if (out / "recipe.yaml").exists() else []))
        while process.poll() is None and not states(out):
            time.sleep(0.01)
        time.sleep(moment.uniform(0, 1.5 if kills else 0.5))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        assert len(states(out)) >= 1
    assert kills >= 1
    finish(out, "--resume")
    assert weights(out) == weights(uninterrupted)
    assert loss_curve(out) == loss_curve(uninterrupted)
    assert not list(out.rglob("*.partial"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_when_asked_and_goes_on(number, uninterrupted, tmp_path):
    out = tmp_path / "asked"
    process = start(out)
    while process.poll() is None and not states(out):
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode != 0 and not (out / "last").exists()
    finish(out, "--resume")
    assert weights(out) == weights(uninterrupted)


def loss_curve(out: Path) -> list[tuple[float, float]]:
    return [(epoch["loss"], epoch["accuracy"]) for epoch in json.loads((out / "history.json").read_text())]


LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))  # no file may become larger, as on a full disk
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_full_disk_leaves_the_last_good_state(uninterrupted, tmp_path):
    out = tmp_path / "full"
    process = start(out)
    while process.poll() is None and not states(out):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    before = states(out)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parents[2])}
    command = [sys.executable, "-c", LIMITED, str(SCRIPT), str(out), OFTEN, "--resume"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 1
    assert f"the state cannot be written to {out}" in result.stderr
    assert states(out) == before and not list(out.glob("state-*.partial"))
    finish(out, "--resume")
    assert weights(out) == weights(uninterrupted)


TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def test_two_processes_learn_as_one(uninterrupted, tmp_path):
    curves = []
    # Which patches are nearest, and which of two neighbors is a maximum, can be a matter of rounding.
    words = [
        "conv=gin",
        "model_options.graph=grid",
        "drop_path=0.0",
        "sync_batch_norm=true",
        "device_batch=24",
        "optimizer=sgd",
        "shift=0",
    ]
    for out, launch in ((tmp_path / "one", []), (tmp_path / "two", TWO)):
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parents[2])}
        command = [sys.executable, *launch, str(SCRIPT), str(out), "learning_rate=0.02", *words]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stderr
        curves.append(json.loads((out / "history.json").read_text()))
    for one, two in zip(*curves, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-3)
        assert two["accuracy"] * 37 == pytest.approx(round(two["accuracy"] * 37))  # every image counts once


def start_sharded(script: str, out: Path, *words: str) -> subprocess.Popen:
    words = ("conv=gin", "drop_path=0.0", "ema_decay=null", "optimizer=sgd", "shift=0", OFTEN, *words)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parents[2])}
    command = [sys.executable, *TWO, str(SCRIPT.with_name(script)), str(out), "learning_rate=0.02", *words]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def sharded(tmp_path_factory) -> Path:
    """Return a run whose weights were sharded over two processes."""
    out = tmp_path_factory.mktemp("runs") / "sharded"
    process = start_sharded("sharded.py", out)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error.decode()
    return out


def test_sharded_weights_learn_as_whole_ones(sharded, tmp_path):
    process = start_sharded("training.py", tmp_path / "whole")
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error.decode()
    whole_run, sharded_run = (
        [epoch["loss"] for epoch in json.loads((out / "history.json").read_text())]
        for out in (tmp_path / "whole", sharded)
    )
    assert sharded_run == pytest.approx(whole_run, rel=1e-3)
    kept = [load_model(out)[0] for out in (tmp_path / "whole", sharded)]
    for whole, part in zip(*(model.parameters() for model in kept), strict=True):
        torch.testing.assert_close(part, whole, rtol=0.05, atol=0.01)


def test_sharded_weights_go_on_where_they_stopped(sharded, tmp_path):
    out = tmp_path / "stopped"
    process = start_sharded("sharded.py", out)
    while process.poll() is None and not states(out):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode != 0 and not (out / "last").exists()
    process = start_sharded("sharded.py", out, "--resume")
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error.decode()
    assert weights(out) == weights(sharded)


def test_a_state_of_another_recipe_is_refused(uninterrupted):
    recipe = read_recipe("digits", [*SMALL, OFTEN, "learning_rate=1"])
    with pytest.raises(ValueError, match=r"has learning_rate=0.003, not 1.0: resume it as it was"):
        fit(build_model(recipe, 10, 1), small_digits(), recipe, uninterrupted, resume=True)


def test_a_finished_run_stays_as_it_is(uninterrupted):
    before = weights(uninterrupted)
    recipe = read_recipe("digits", [*SMALL, OFTEN])
    torch.manual_seed(1)
    history = fit(build_model(recipe, 10, 1), small_digits(), recipe, uninterrupted, resume=True)
    assert len(history) == 3 and weights(uninterrupted) == before
