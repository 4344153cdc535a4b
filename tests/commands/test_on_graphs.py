"""Commands on graphs, as a person types them: they say so, and count what they say."""

import csv
import re

import pytest
import torch

from tests.commands.test_commands import done
from vig_pyg.data import graph_sets
from vig_pyg.data.graph_sets import load_graphs
from vig_pyg.data.shapes import make_shapes

BRIEF = ["epochs=1", "warmup_epochs=0", "batch=12", "device_batch=12", "model_options.depth=1"]
IMAGES = re.compile(r"\bimages?\b")


@pytest.fixture(scope="module", autouse=True)
def few_shapes():
    """Point clouds, fewer of them and with fewer points."""
    with pytest.MonkeyPatch.context() as patch:
        few = load_graphs("shapes")._replace(train=make_shapes(48, 40, seed=0), test=make_shapes(12, 40, seed=1))
        patch.setitem(graph_sets.BUILT_IN, "shapes", lambda name: few)
        graph_sets._made.cache_clear()
        yield
    graph_sets._made.cache_clear()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "shapes"
    return out, done("train", "--data", "shapes", "--out", out, *BRIEF, "--device", "cpu")


def test_train_counts_graphs(trained):
    out, said = trained
    assert "48 graphs to train on, 12 held out" in said and "1 process(es) × 12 graphs × 1 step(s)" in said
    assert not IMAGES.search(said)
    assert "On the held-out graphs: accuracy" in (out / "last" / "README.md").read_text()


def test_eval_counts_graphs(trained, tmp_path):
    said = done("eval", trained[0], "--out", tmp_path, "--device", "cpu")
    assert "on the 12 held-out graphs of shapes" in said and "12 graphs. Written to" in said
    assert not IMAGES.search(said)


def test_predict_lists_graphs(trained, tmp_path):
    for number, graph in enumerate(make_shapes(5, points=40, seed=2)):
        torch.save(graph, tmp_path / f"{number}.pt")
    files = [tmp_path / f"{number}.pt" for number in range(5)]
    found = []
    for batch in (1, 3):
        out = tmp_path / f"{batch}.csv"
        said = done("predict", trained[0], *files, "--batch", batch, "--out", out, "--device", "cpu")
        assert "graph prediction" in re.sub(r"\W+", " ", said) and not IMAGES.search(said)
        found.append(list(csv.DictReader(out.open())))
    assert [row["file"] for row in found[0]] == [str(file) for file in files]
    for one, three in zip(*found, strict=True):
        assert one["class"] == three["class"] and float(one["probability"]) == pytest.approx(
            float(three["probability"])
        )


def test_a_study_measures_milliseconds_per_graph(tmp_path):
    words = ["study", "graphs", "--data", "shapes", "--seeds", 1, "--jobs", 1, "--device", "cpu", "--out", tmp_path]
    said = done(*words, *BRIEF)
    page, rows = (tmp_path / "report.html").read_text(), list(csv.DictReader((tmp_path / "graphs.csv").open()))
    assert all(float(row["ms per graph"]) > 0 for row in rows) and "ms per image" not in rows[0]
    assert not IMAGES.search(said)
    assert "48 graphs to train on, 12 held out" in " ".join(page.split()) and "12 graphs at once" in page
    assert "One held-out graph is 8.33 % of accuracy" in " ".join(page.split())
    assert "photograph" not in page and "images" not in page
