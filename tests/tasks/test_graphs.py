"""Graphs and nodes are classified: trained, kept, loaded, measured and predicted."""

from types import SimpleNamespace

import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score

from vig_pyg.data.graph_sets import GraphData
from vig_pyg.data.shapes import PARTS, SHAPES, make_shapes
from vig_pyg.tasks import get_task, list_recipes, read_recipe
from vig_pyg.tasks.graphs import GraphClassification, NodeEvaluation
from vig_pyg.tasks.registry import task_for
from vig_pyg.train import fit

SMALL = ("epochs=3", "warmup_epochs=0", "batch=12", "device_batch=12", "model_options.depth=2")


def shapes(per_node=False):
    train, test = make_shapes(48, points=48, seed=0), make_shapes(12, points=48, seed=1)
    for cloud in (*train, *test) if per_node else ():
        cloud.y = cloud.part
    return GraphData("shapes", train, test, PARTS if per_node else list(SHAPES), 3, 3, per_node)


@pytest.fixture(scope="module", params=[False, True], ids=["graphs", "nodes"])
def trained(request, tmp_path_factory):
    data, recipe = shapes(request.param), read_recipe("points", SMALL)
    torch.manual_seed(0)
    model = GraphClassification.build_model(recipe, data)
    out = tmp_path_factory.mktemp("run") / "run"
    return SimpleNamespace(data=data, recipe=recipe, out=out, history=fit(model, data, recipe, out))


def test_it_learns(trained):
    losses = [epoch.loss for epoch in trained.history]
    assert losses[-1] < losses[0]
    names = ["accuracy", "macro_f1", "mean_iou"] if trained.data.per_node else ["accuracy", "top5"]
    assert list(trained.history[-1].measured) == names


def test_what_is_kept_is_loaded_and_measured_again(trained):
    kept = GraphClassification.load(trained.out / "last")
    task = GraphClassification(trained.data, trained.recipe)
    found = task.evaluate(kept.model, task.test_loader(kept.model, 5), "cpu")
    assert found.figures == pytest.approx(trained.history[-1].measured)
    assert kept.classes == trained.data.classes


def test_predictions_are_of_graphs_or_of_their_nodes(trained, tmp_path):
    kept = GraphClassification.load(trained.out / "last")
    graph = trained.data.test[0]
    torch.save(graph, tmp_path / "one.pt")
    said = []
    files = GraphClassification.files([tmp_path / "one.pt"])
    GraphClassification.predict(
        kept, files, tmp_path / "out.csv", lambda *words: said.append(words), batch=1, device="cpu"
    )
    rows = (tmp_path / "out.csv").read_text().splitlines()
    best = kept.model(graph).argmax(1)
    assert len(rows) - 1 == len(best) == (48 if trained.data.per_node else 1)
    assert [row.split(",")[2] for row in rows[1:]] == [kept.classes[i] for i in best.tolist()]


def test_a_file_that_is_no_graph_is_refused(tmp_path):
    torch.save([1], tmp_path / "list.pt")
    (tmp_path / "text.pt").write_text("graph")
    for name, message in (("list.pt", "holds a list, not a graph"), ("text.pt", "holds no graph")):
        with pytest.raises(ValueError, match=message):
            GraphClassification.predict(None, [tmp_path / name], None, print, batch=1, device="cpu")


def test_predictions_are_csv(tmp_path):
    assert GraphClassification.place(None) is None and GraphClassification.place(tmp_path / "out.csv")
    with pytest.raises(ValueError, match=r"--out must end in .csv, got"):
        GraphClassification.place(tmp_path / "out.jsonl")


def test_f1_and_iou_of_nodes_are_those_of_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    truth, guess = torch.randint(4, (2, 200), generator=generator)
    confusion = torch.zeros(5, 5, dtype=torch.long).index_put_((truth, guess), torch.ones(200, dtype=torch.long), True)
    found = NodeEvaluation(confusion.diag().sum().item() / 200, 1.0, confusion, []).figures
    assert found["macro_f1"] == pytest.approx(f1_score(truth, guess, average="macro"))
    assert found["mean_iou"] == pytest.approx(jaccard_score(truth, guess, average="macro"))


def test_data_choose_the_task_and_its_recipe():
    assert task_for("digits-superpixels") == task_for("pyg/Planetoid/Cora") == "graphs"
    assert task_for("digits") == task_for(None) == "classify"
    assert get_task("graphs").default_recipe({"data": "shapes-parts"}) == "points"
    assert get_task("graphs").default_recipe({"data": "digits-superpixels"}) == "superpixels"


def test_dgcnn_is_a_preset():
    assert "dgcnn" in list_recipes()
    model = GraphClassification.build_model(read_recipe("dgcnn"), shapes())
    graphers = [block.grapher for block in model.blocks]
    assert [(g.graph.k, type(g.conv).__name__, type(g.fc1).__name__) for g in graphers] == [
        (20, "EdgeConv", "Identity")
    ] * 4
    assert model.readout == "accumulated" and model.global_pool == "avgmax"
