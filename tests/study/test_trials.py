import importlib
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vig_pyg import machine
from vig_pyg.machine import source_hash
from vig_pyg.study import trials
from vig_pyg.study.trials import Trial, read_result, run_trials
from vig_pyg.train import Recipe, read_recipe

BRIEF = ("epochs=1", "warmup_epochs=0", "batch=240", "device_batch=60")
RECIPE = read_recipe("digits", [*BRIEF, "model_options.depth=1", "model_options.channels=16", "conv=gin"])


def trial(seed: int, **changes: object) -> Trial:
    return Trial(replace(RECIPE, seed=seed, **changes))  # type: ignore[arg-type]


def losses(folder: Path, which: Trial) -> list[float]:
    result = read_result(folder, which)
    assert result is not None
    return [epoch.loss for epoch in result.epochs]


def test_all_that_decides_makes_the_key_and_nothing_else() -> None:
    assert trial(0).key == trial(0).key == trial(0, workers=7).key
    others = [trial(1), trial(0, epochs=2), trial(0, conv="edge"), trial(0, model_options={}), Trial(RECIPE, True)]
    assert len({other.key for other in others} | {trial(0).key}) == 6


def test_other_code_of_the_library_makes_another_trial(tmp_path, monkeypatch) -> None:
    before = trial(0).key
    package = shutil.copytree(Path(machine.__file__).parent, tmp_path / "vig_pyg")
    monkeypatch.setattr(machine, "__file__", str(package / "machine.py"))
    source_hash.cache_clear()
    try:
        assert trial(0).key == before  # wherever it is
        with (package / "conv" / "gin.py").open("a") as file:
            file.write("# changed\n")
        source_hash.cache_clear()
        assert trial(0).key != before
    finally:
        source_hash.cache_clear()


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("conv", "from torch_geometric.nn import SAGEConv\ndef part(i, o):\n    return SAGEConv(i, o, aggr={!r})\n"),
        (
            "graph",
            "from vig_pyg import knn_graph as g\ndef part(x, y):\n    return g(x, len({!r}), y.batch(), loop=True)\n",
        ),
    ],
)
def test_another_version_of_an_operator_or_a_graph_makes_another_trial(part, source, tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # bytecode is known by seconds: both versions are of one
    file, word = tmp_path / f"my_{part}_in_a_file.py", f"my_{part}_in_a_file:part"
    file.write_text(source.format("mean"))
    module = importlib.import_module(file.stem)
    before = trial(0, **{part: word}).key
    assert trial(0, **{part: word}).key == before
    file.write_text(source.format("max"))
    importlib.reload(module)
    assert trial(0, **{part: word}).key != before


def test_a_finished_trial_is_kept_and_what_ran_before_does_not_matter(tmp_path, monkeypatch) -> None:
    run_trials(tmp_path / "a", [trial(0), trial(1)])
    run_trials(tmp_path / "b", [trial(1)])
    assert losses(tmp_path / "a", trial(1)) == losses(tmp_path / "b", trial(1)) != losses(tmp_path / "a", trial(0))
    trained: list[int] = []
    monkeypatch.setattr(trials, "_train", lambda folder, trial, device: trained.append(trial.recipe.seed))
    seen: list[int] = []
    run_trials(tmp_path / "a", [trial(0), trial(1)], on_trial=lambda trial: seen.append(trial.recipe.seed))
    assert trained == [] and sorted(seen) == [0, 1]


@pytest.mark.parametrize("damage", [lambda text: text[:-40], lambda text: text.replace("1", "2", 1), lambda text: ""])
def test_a_damaged_trial_is_named_and_trained_again(damage, tmp_path, caplog) -> None:
    run_trials(tmp_path, [trial(0)])
    whole = losses(tmp_path, trial(0))
    [file] = tmp_path.glob("*.json")
    file.write_text(damage(file.read_text()))
    run_trials(tmp_path, [trial(0)])
    assert f"{file} is damaged" in caplog.text and "this trial is trained again" in caplog.text
    assert losses(tmp_path, trial(0)) == whole


def test_threads_stay_as_they_were(tmp_path) -> None:
    before = torch.get_num_threads()
    run_trials(tmp_path, [trial(2)])
    assert torch.get_num_threads() == before


def test_graphs_and_diversity(tmp_path) -> None:
    measured = Trial(replace(RECIPE, model_options={**RECIPE.model_options, "graph": "grid"}), diversity=True)
    run_trials(tmp_path, [measured])
    result = read_result(tmp_path, measured)
    assert result is not None and result.diversity is not None
    assert len(result.diversity) == 1 and result.diversity[0] > 0
    [graph] = result.graphs
    around = [8 * row + column for row in (2, 3, 4) for column in (2, 3, 4)]
    assert sorted(graph.edge_index[0][graph.edge_index[1] == 8 * 3 + 3].tolist()) == around


PROGRAM = """
import sys
from pathlib import Path
from vig_pyg.study.trials import run_trials
sys.path.insert(0, {root!r})
from tests.study.test_trials import trial
run_trials(Path(sys.argv[1]), [trial(seed) for seed in range({seeds})])
"""


def start(folder: Path, seeds: int) -> subprocess.Popen:
    program = PROGRAM.format(root=str(Path(__file__).parents[2]), seeds=seeds)
    return subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True)


def test_killed_processes_leave_whole_trials_and_two_share_the_rest(tmp_path) -> None:
    seeds = 4
    first = start(tmp_path, seeds)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert 1 <= len(kept) < seeds
    both = [start(tmp_path, seeds) for _ in range(2)]
    for process in both:
        process.communicate(timeout=300)
        assert process.returncode == 0
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in kept.items())
    assert len(list(tmp_path.glob("*.json"))) == seeds
    assert not list(tmp_path.glob("*.partial"))
    run_trials(tmp_path / "again", [trial(seeds - 1)])
    assert losses(tmp_path / "again", trial(seeds - 1)) == losses(tmp_path, trial(seeds - 1))


def test_a_trial_that_cannot_be_trained_says_why(tmp_path) -> None:
    with pytest.raises(ValueError, match="batch=2000 is more than"):
        run_trials(tmp_path, [trial(0, batch=2000, device_batch=2000)])
    assert isinstance(RECIPE, Recipe) and not list(tmp_path.glob("*.json"))


def test_a_process_of_a_group_works_alone(monkeypatch) -> None:
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "here"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert trials.leave_group() == (3, 4)
    assert trials.leave_group() == (0, 1)
