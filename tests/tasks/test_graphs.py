"""Graphs and nodes are classified: trained, kept, loaded, measured and predicted."""

from types import SimpleNamespace

import pytest
import timm
import torch
from sklearn.metrics import f1_score, jaccard_score
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import GCN

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
    task, graphs = GraphClassification(trained.data, trained.recipe), []
    found = task.evaluate(kept.model, task.test_loader(kept.model, 5), "cpu", graphs.append)
    assert graphs == [5, 5, 2]
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


def predicted(kept, graphs, tmp_path, batch):
    """What is written of every graph, after how many calls of the model with how many graphs each."""
    for number, graph in enumerate(graphs):
        torch.save(graph, tmp_path / f"{number}.pt")
    files, called, seen = [tmp_path / f"{number}.pt" for number in range(len(graphs))], [], []
    hook = kept.model.register_forward_pre_hook(lambda _, inputs: called.append(inputs[0].num_graphs))
    out, note = tmp_path / "out.csv", lambda path, words: seen.append(path)
    try:
        GraphClassification.predict(kept, files, out, note, batch=batch, device="cpu")
    finally:
        hook.remove()
    assert seen == files
    return [row.split(",") for row in out.read_text().splitlines()[1:]], called


def test_graphs_are_predicted_in_batches_as_they_are_alone(trained, tmp_path):
    kept = GraphClassification.load(trained.out / "last")
    sizes = [48, 40, 33, 48, 29]
    graphs = [graph.subgraph(torch.arange(size)) for graph, size in zip(trained.data.test, sizes, strict=False)]
    rows, called = predicted(kept, graphs, tmp_path, 2)
    assert called == [2, 2, 1]
    with torch.no_grad():
        alone = [kept.model(graph).softmax(1).max(1) for graph in graphs]
    expected = [kept.classes[i] for best in alone for i in best.indices]
    assert [row[2] for row in rows] == expected
    assert len(rows) == (sum(sizes) if trained.data.per_node else len(sizes))
    assert [float(row[3]) for row in rows] == pytest.approx(torch.cat([best.values for best in alone]).tolist())
    numbers = [i for best in alone for i in range(len(best.values))]
    assert [int(row[1]) for row in rows] == numbers


def test_what_some_graphs_have_and_others_not_is_used_of_those_that_have_it(tmp_path):
    """Batches of PyG's keep what the first graph has; the edges of the others would be dropped without a word."""
    recipe = read_recipe("points", [*SMALL, "graph=static"])
    torch.manual_seed(0)
    kept = SimpleNamespace(model=GraphClassification.build_model(recipe, shapes()).eval(), classes=list(SHAPES))
    graphs = shapes().test[:4]
    for graph in graphs[1:3]:
        graph.edge_index = torch.arange(48).repeat(2, 1)
    graphs[3].unused = torch.ones(7)
    rows, called = predicted(kept, graphs, tmp_path, 4)
    assert called == [1, 2, 1]
    with torch.no_grad():
        alone = [kept.model(graph).softmax(1).max().item() for graph in graphs]
    assert [float(row[3]) for row in rows] == pytest.approx(alone)


def test_a_graph_that_does_not_fit_is_named(trained, tmp_path):
    kept = GraphClassification.load(trained.out / "last")
    graphs = [graph.clone() for graph in trained.data.test[:3]]
    graphs[1].x = graphs[1].pos = graphs[1].pos[:0]
    with pytest.raises(ValueError, match=r"1\.pt: there must be at least one node, got none"):
        predicted(kept, graphs, tmp_path, 3)
    graphs[1].x = graphs[1].pos = torch.ones(48, 2)
    with pytest.raises(ValueError, match=r"1\.pt: nodes must have 3 features"):
        predicted(kept, graphs, tmp_path, 3)


@pytest.mark.parametrize(
    ("given", "has"),
    [
        ({}, "stem='conv'"),
        ({"stem": "patch"}, "stem='patch'"),
        ({"stem": "nodes"}, "pos_dim=2"),
        ({"stem": "nodes", "in_chans": 9, "pos_dim": 3}, "in_chans=9"),
        ({"stem": "nodes", "in_chans": 3, "pos_dim": 3, "num_classes": 5}, "num_classes=5"),
        ({"stem": "nodes", "in_chans": 3, "pos_dim": 3, "readout": "nodes"}, "readout='nodes'"),
    ],
)
def test_a_model_for_other_data_is_told_what_to_be_built_with(given, has):
    model = timm.create_model("vig_micro", **{"num_classes": 6, "depth": 1, **given})
    recipe, data = read_recipe("points", SMALL), shapes()
    with pytest.raises(ValueError) as refused:
        fit(model, data, recipe)
    said, _, words = str(refused.value).partition(": for shapes build it with ")
    assert said == f"the model has {has}"
    assert words == "stem='nodes', in_chans=3, pos_dim=3, num_classes=6, readout='mean'"
    built = timm.create_model("vig_micro", depth=1, **eval(f"dict({words})"))
    assert fit(built, data, read_recipe("points", [*SMALL, "epochs=1"]))


def test_labels_of_nodes_need_a_model_of_nodes():
    model = timm.create_model("vig_micro", stem="nodes", in_chans=3, pos_dim=3, num_classes=len(PARTS), depth=1)
    with pytest.raises(ValueError, match=r"the model has readout='mean': .* readout='nodes'"):
        fit(model, shapes(True), read_recipe("points", SMALL))


def test_a_model_may_leave_places_alone():
    model = timm.create_model("vig_micro", stem="nodes", in_chans=3, pos_dim=0, num_classes=6, depth=1)
    assert fit(model, shapes(), read_recipe("points", [*SMALL, "epochs=1"]))


def test_other_models_are_told_of_their_logits():
    class OfNodes(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = GCN(3, 8, 2, 6)

        def forward(self, batch):
            return self.layers(batch.pos, torch.arange(len(batch.pos)).repeat(2, 1))

    sentence = r"for shapes a model must return logits \[12, 6\], a row per graph and a column .* got \[576, 6\]"
    with pytest.raises(ValueError, match=sentence):
        fit(OfNodes(), shapes(), read_recipe("points", SMALL))


def test_a_file_that_is_no_graph_is_refused(tmp_path):
    torch.save([1], tmp_path / "list.pt")
    (tmp_path / "text.pt").write_text("graph")
    torch.save(Data(x=torch.ones(3, 3), batch=torch.tensor([0, 0, 1])), tmp_path / "two.pt")
    wrong = {"list.pt": "holds a list, not a graph", "text.pt": "holds no graph", "two.pt": "holds a batch of graphs"}
    for name, message in wrong.items():
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
