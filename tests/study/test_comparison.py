"""Comparisons from Python, against what the trainings that they kept say."""

import json

import pytest

from vig_pyg.data.graph_sets import load_graphs
from vig_pyg.study import compare, count_macs, count_parameters, trials
from vig_pyg.study.trials import Trial, load
from vig_pyg.tasks import get_task
from vig_pyg.tasks.graphs import GraphRecipe

BRIEF = ["epochs=1", "warmup_epochs=0", "batch=240", "device_batch=60", "model_options.depth=1"]
BRIEF += ["model_options.channels=16"]
CONVS, EVERY = ["gin", "edge"], [("gin", "knn"), ("gin", "static"), ("edge", "knn"), ("edge", "static")]


def kept(folder) -> dict:
    contents = [json.loads(file.read_text()) for file in (folder / "trials").glob("*.json")]
    return {(c["recipe"]["conv"], c["recipe"]["graph"]): c for c in contents}


@pytest.fixture
def few_shapes(monkeypatch):
    """Point clouds, fewer of them."""
    few = load_graphs("shapes")
    few = few._replace(train=few.train[:60], test=few.test[:20])
    monkeypatch.setattr(trials, "_graphs", lambda name, root: few)


@pytest.mark.parametrize("data", ["digits", "shapes"])
def test_every_operator_with_every_graph(data, tmp_path, monkeypatch, few_shapes):
    changes = [*BRIEF, *(["batch=30", "device_batch=30"] if data == "shapes" else [])]
    frame = compare(CONVS, ["knn", "static"], data, seeds=1, out=tmp_path, changes=changes)
    assert list(frame.index) == EVERY and frame.index.names == ["conv", "graph"]
    found = kept(tmp_path)
    for row in EVERY:
        accuracy = found[row]["epochs"][-1]["measured"]["accuracy"]
        assert frame.loc[row, "accuracy (%)"] == pytest.approx(100 * accuracy)
        recipe = found[row]["recipe"]
        kind = get_task(recipe["task"])
        assert kind.recipe_class is GraphRecipe or data == "digits"
        trial = Trial(kind.recipe_class(**recipe))
        model = trial.build(load(trial.recipe))
        assert frame.loc[row, "parameters (M)"] == pytest.approx(count_parameters(model) / 1e6)
        macs = count_macs(model, trial.sample(load(trial.recipe), 20))
        assert frame.loc[row, "MACs (M)"] == pytest.approx(macs / 1e6)
        assert frame.loc[row, "ms per graph" if data == "shapes" else "ms per image"] > 0
        assert frame.loc[row, "seed 0 (%)"] == frame.loc[row, "accuracy (%)"]
    monkeypatch.setattr(trials, "_train", None)  # nothing is trained again
    again = compare(CONVS, ["knn", "static"], data, seeds=1, out=tmp_path, changes=changes)
    assert again.equals(frame)


def test_the_accuracy_from_every_seed_is_told(tmp_path):
    frame = compare(["gin", "edge"], seeds=2, out=tmp_path, changes=BRIEF)
    contents = [json.loads(file.read_text()) for file in (tmp_path / "trials").glob("*.json")]
    for content in contents:
        recipe, accuracy = content["recipe"], content["epochs"][-1]["measured"]["accuracy"]
        assert frame.loc[(recipe["conv"], "knn"), f"seed {recipe['seed']} (%)"] == pytest.approx(100 * accuracy)
    assert len(contents) == 4
    both = frame[["seed 0 (%)", "seed 1 (%)"]]
    assert list(both.mean(axis=1)) == pytest.approx(list(frame["accuracy (%)"]))
    assert list(both.std(axis=1)) == pytest.approx(list(frame["± (%)"]))


def test_a_folder_that_nobody_asked_for_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    frame = compare("gin", "grid", seeds=1, changes=BRIEF)
    assert list(frame.index) == [("gin", "grid")] and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "given", "sentence"),
    [
        (ValueError, {"convs": ["egde"]}, "did you mean 'edge'?"),
        (ValueError, {"graphs": ["knm"]}, "did you mean 'knn'?"),
        (ValueError, {"convs": []}, "convs must name at least one, got none"),
        (ValueError, {"changes": ["conv=gin"]}, "use convs instead of conv=gin"),
        (ValueError, {"changes": ["seed=3"]}, "use seeds instead of seed=3"),
        (ValueError, {"changes": ["graph=knn"]}, "chooses the graph itself: leave out 'knn'"),
        (ValueError, {"seeds": 0}, "seeds must be"),
        (ValueError, {"jobs": 0}, "jobs must be"),
        (ValueError, {"changes": ["task=detect"]}, "task must be classify or graphs, got 'detect'"),
        (TypeError, {"graphs": ["grid"], "data": "shapes"}, "GridGraph links places of a grid"),
    ],
)
def test_what_cannot_be_compared_is_refused(error, given, sentence, few_shapes):
    with pytest.raises(error) as raised:
        compare(**given)
    assert sentence in str(raised.value)
