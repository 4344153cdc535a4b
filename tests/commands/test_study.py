"""``vig-pyg study``, as a person types it."""

import csv
import json
import re
import statistics
from pathlib import Path

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from tests.commands.test_commands import call, done
from tests.data.written_folders import write_images
from vig_pyg import list_graphs
from vig_pyg.commands import app
from vig_pyg.commands import study as command
from vig_pyg.study import cost, trials
from vig_pyg.study.finding import Finding

NOTHING = Finding("heads", "", "", "", pd.DataFrame(), [], {})
BRIEF = ["epochs=1", "warmup_epochs=0", "batch=240", "device_batch=60"]
ARGUMENTS = ["study", "modules", *BRIEF, "model_options.depth=1", "--device", "cpu", "--jobs", "1"]
TABLES = ("modules.csv", "modules.md", "modules.tex")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("runs") / "study"
    result = CliRunner().invoke(app, [*ARGUMENTS, "--seeds", "2", "--out", str(out)])
    assert result.exit_code == 0, result.output
    return out, result.output


def test_the_table_holds_what_the_trials_gave(finished):
    out, _ = finished
    rows = {row[""]: row for row in csv.DictReader((out / "modules.csv").open())}
    assert list(rows) == ["operator alone", "with FC in Grapher", "with FFN", "with both"]
    found = {}
    for file in (out / "trials").glob("*.json"):
        content = json.loads(file.read_text())
        options = content["recipe"]["model_options"]
        found.setdefault((options["grapher_fc"], options["ffn"]), []).append(
            content["epochs"][-1]["measured"]["accuracy"]
        )
    both = found[True, True]
    assert float(rows["with both"]["accuracy (%)"]) == pytest.approx(100 * statistics.mean(both))
    assert float(rows["with both"]["± (%)"]) == pytest.approx(100 * statistics.stdev(both))
    assert [row["paper: ImageNet top-1 (%)"] for row in rows.values()] == ["67.0", "73.4", "73.6", "73.9"]
    macs = [float(row["MACs (M)"]) for row in rows.values()]
    assert max(macs) / min(macs) < 1.15  # widths were chosen for it; they are multiples of four


def test_run_again_it_trains_and_measures_nothing_and_gives_the_same_tables(finished, monkeypatch):
    out, _ = finished
    before = {name: (out / name).read_bytes() for name in TABLES}
    monkeypatch.setattr(trials, "_train", None)
    monkeypatch.setattr(cost, "peak_megabytes", None)
    done(*ARGUMENTS, "--seeds", "2", "--out", out)
    assert {name: (out / name).read_bytes() for name in TABLES} == before


def test_the_report_needs_no_other_file_and_no_network(finished):
    page = (finished[0] / "report.html").read_text()
    assert page.count('src="data:image/png;base64,') == 4
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page) and "http" not in page
    assert "How the widths were found" in page and "paired t tests over 2 seeds" in page
    assert "vig-pyg study modules epochs=1" in page


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["study", "wings"], "there is no study 'wings': take one of operators, modules"),
        (["study", "heads", "--seeds", "0"], "seeds must be at least 1, got 0"),
        (["study", "heads", "--conv", "egde"], "did you mean 'edge'?"),
        (["study", "heads", "--model", "resnet18"], "resnet18"),
        (["study", "heads", "--data", "nowhere"], "there is no folder 'nowhere'"),
        (["study", "heads", "model_options.channels=20"], "heads"),
        (["study", "heads", "conv=gin"], "a study chooses conv itself: use --conv instead of conv=gin"),
        (["study", "heads", "seed=7"], "a study chooses seed itself: use --seeds instead of seed=7"),
        (["study", "heads", "--jobs", "0"], "jobs must be at least 1, got 0"),
        (["study", "graphs", "--graph", "gird"], "did you mean 'grid'?"),
        (["study", "heads", "--graph", "knn", "--graph", "grid"], "only the study of graphs compares several: give"),
        (["study", "graphs", "--model", "vig_micro", "--model", "vig_mcro"], "did you mean vig_micro?"),
        (
            ["study", "models", "--graph", "grid"],
            "published models are measured as they are, untrained: leave out 'grid'",
        ),
        (["study", "models", "epochs=3"], "untrained: leave out 'epochs=3'"),
        (["study", "models", "--model", "resnet_18"], "there is no model called 'resnet_18'"),
    ],
)
def test_wrong_input_is_one_sentence_and_status_2(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, output = call(*words, "--device", "cpu")
    assert status == 2, output
    assert sentence in output and "Traceback" not in output
    assert not list(tmp_path.iterdir())


def test_of_processes_that_share_the_work_the_first_alone_writes_what_was_found(tmp_path, monkeypatch):
    arguments = ["study", "operators", "--conv", "gin", *ARGUMENTS[2:], "--seeds", "1", "--out", tmp_path]
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert call(*arguments) == (0, "")
    assert len(list((tmp_path / "trials").glob("*.json"))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["trials"]
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    status, output = call(*arguments)
    assert status == 0 and "report.html" in output and (tmp_path / "report.html").is_file()


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """What the command would train and how it says that it is repeated; nothing is trained."""

    def plan(*words: str):
        seen = []
        monkeypatch.setattr(command, "_train", lambda studies, plans, jobs: seen.extend([studies.base, plans]) or True)
        monkeypatch.setattr(command, "evaluate_all", lambda *_: [NOTHING])
        monkeypatch.setattr(command, "write_study_report", lambda *arguments: seen.append(arguments[-2]))
        done("study", *words, "--device", "cpu", "--seeds", "1", "--out", tmp_path)
        base, plans, repeat = seen
        return base, [line.trials[0].recipe for lines in plans.values() for line in lines], repeat

    return plan


def test_operators_that_are_asked_for_are_in_every_study_the_four_of_the_paper_too(planned):
    four = ["max_relative", "edge", "gin", "sage"]
    asked = [word for conv in four for word in ("--conv", conv)]
    _, recipes, repeat = planned("heads", *asked)
    assert [recipe.conv for recipe in recipes] == [conv for conv in four for _ in range(5)]
    assert repeat == f"vig-pyg study heads {' '.join(asked)} --seeds 1"


def test_where_no_operator_is_asked_for_only_their_own_study_takes_four(planned):
    _, recipes, repeat = planned("heads")
    assert [recipe.conv for recipe in recipes] == ["max_relative"] * 5 and repeat == "vig-pyg study heads --seeds 1"
    assert [recipe.conv for recipe in planned("operators")[1]] == ["max_relative", "edge", "gin", "sage"]


def test_the_study_of_graphs_takes_all_in_two_models_or_those_that_are_asked_for(planned):
    _, recipes, _ = planned("graphs")
    assert {recipe.model for recipe in recipes} == {"vig_micro", "pvig_micro"}
    assert {recipe.graph for recipe in recipes} == set(list_graphs())
    asked = ["--conv", "gin", "--conv", "edge", "--graph", "axial", "--graph", "grid", "--model", "vig_micro"]
    _, recipes, repeat = planned("graphs", *asked)
    found = [(recipe.model, recipe.conv, recipe.graph) for recipe in recipes]
    assert found == [("vig_micro", conv, graph) for conv in ("gin", "edge") for graph in ("axial", "grid")]
    assert repeat == f"vig-pyg study graphs {' '.join(asked)} --seeds 1"
    assert {recipe.model for recipe in planned("graphs", "model=pvig_micro", "--graph", "knn")[1]} == {"pvig_micro"}


@pytest.mark.parametrize(
    ("words", "models"), [((), []), (("--model", "resnet18", "--model", "vig_tiny"), ["resnet18", "vig_tiny"])]
)
def test_published_models_are_all_or_those_that_are_asked_for_whatever_is_trained(words, models, monkeypatch):
    seen = []
    monkeypatch.setattr(command, "compare", lambda studies, *_: seen.append(studies))
    done("study", "models", "--recipe", "digits", *words, "--device", "cpu")
    assert seen[0].models == models and seen[0].base.model == "vig_micro"


def test_other_studies_repeat_their_rows_with_every_model_and_one_graph(planned):
    _, recipes, _ = planned("operators", "--model", "vig_micro", "--model", "pvig_micro", "--graph", "grid")
    assert [recipe.model for recipe in recipes] == ["vig_micro"] * 4 + ["pvig_micro"] * 4
    assert {recipe.graph for recipe in recipes} == {"grid"}


def test_a_recipes_data_are_taken_unless_others_are_asked_for(planned, tmp_path):
    write_images(tmp_path / "photos", 10)
    write_images(tmp_path / "others", 10)
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"data: {tmp_path / 'photos'}\nmodel: vig_micro\nbatch: 2\n")
    base, _, repeat = planned("heads", "--recipe", str(recipe))
    assert base.data == str(tmp_path / "photos") and "--data" not in repeat
    base, _, repeat = planned("heads", "--recipe", str(recipe), "--data", str(tmp_path / "others"))
    assert base.data == str(tmp_path / "others") and f"--data {tmp_path / 'others'}" in repeat
    assert planned("heads")[0].data == "digits"


def test_the_study_of_diversity_has_12_blocks(planned):
    assert {recipe.model_options["depth"] for recipe in planned("diversity")[1]} == {12}


def test_the_depth_that_is_asked_for_is_trained_and_the_report_says_it(tmp_path):
    words = [*BRIEF, "model_options.depth=2", "--seeds", "1", "--jobs", "1", "--device", "cpu", "--out", tmp_path]
    done("study", "diversity", *words)
    kept = [json.loads(file.read_text()) for file in (tmp_path / "trials").glob("*.json")]
    assert [len(trial["diversity"]) for trial in kept] == [2, 2]
    page = (tmp_path / "report.html").read_text()
    assert "Both have 2 blocks." in page and "One seed: no difference" in page


@pytest.fixture
def one_thread():
    """Let torch add up in one order, as the trials of studies do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_recipes_that_a_study_of_graphs_kept_train_again(tmp_path, one_thread):
    words = [*BRIEF, "model_options.depth=1", "model_options.channels=16", "--seeds", "1", "--jobs", "1"]
    graphs = ("--graph", "grid", "--graph", "random", "--graph", "greedy", "--conv", "max_relative", "--conv", "gin")
    output = done("study", "graphs", *words, *graphs, "--model", "vig_micro", "--device", "cpu", "--out", tmp_path)
    rows = {row[""]: row for row in csv.DictReader((tmp_path / "graphs.csv").open())}
    assert {row["edges per node"] for label, row in rows.items() if label.startswith("grid")} == {"9.0"}
    assert float(rows["greedy, gin"]["choosing (ms)"]) > 0 and "What graphs cost in larger images" in output
    assert (tmp_path / "graphs-crossed.png").is_file() and (tmp_path / "graph-costs.csv").is_file()
    found = {}
    for file in (tmp_path / "trials").glob("*.json"):
        content = json.loads(file.read_text())
        graph = content["recipe"]["graph"]
        if graph in ("grid", "random") and content["recipe"]["conv"] == "gin":
            again = ("--recipe", file.with_suffix(".yaml"), "--out", tmp_path / graph, "--device", "cpu")
            done("train", *again)
            [epoch] = csv.DictReader((tmp_path / graph / "metrics.csv").open())
            found[graph] = content["epochs"][0]["loss"]
            assert float(epoch["loss"]) == pytest.approx(found[graph], rel=1e-3)
    assert set(found) == {"grid", "random"} and found["grid"] != pytest.approx(found["random"], rel=1e-3)
