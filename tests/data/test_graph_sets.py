"""Data sets of graphs by name: built in, and PyG's, of files in its own formats."""

import pickle

import numpy as np
import pytest
import scipy.sparse
import torch
from torch_geometric.data import Data, InMemoryDataset

from vig_pyg import train
from vig_pyg.data import graph_sets
from vig_pyg.data.graph_sets import GraphBatches, load_graphs
from vig_pyg.data.samplers import Draw
from vig_pyg.data.shapes import PARTS, SHAPES


@pytest.fixture
def root(tmp_path):
    return tmp_path


def test_shapes():
    data = load_graphs("shapes")
    assert data.classes == list(SHAPES) and (data.channels, data.pos_dim, data.per_node) == (3, 3, False)
    assert len(data.train) == 600 and len(data.test) == 180
    assert not torch.equal(data.train[0].pos, data.test[0].pos)


def test_parts_of_shapes():
    data = load_graphs("shapes-parts")
    assert data.classes == PARTS and data.per_node
    assert torch.equal(data.train[7].y, load_graphs("shapes").train[7].part)


def test_what_is_built_in_is_made_once_and_everyone_has_a_copy(monkeypatch):
    made = []
    monkeypatch.setitem(graph_sets.BUILT_IN, "once", lambda name: made.append(name) or few())
    first, second = load_graphs("once"), load_graphs("once")
    assert made == ["once"] and torch.equal(first.train[0].pos, few().train[0].pos)
    first.train[0].pos.zero_()
    first.train.pop()
    first.test[0].y = torch.tensor([5])
    first.classes.append("more")
    for again in (second, load_graphs("once")):
        assert torch.equal(again.train[0].pos, few().train[0].pos) and len(again.train) == 2
        assert again.test[0].y == 3 and again.classes == ["a", "b"] and again.name == "once"


def few():
    return graph_sets.GraphData("once", [point_graph(1), point_graph(2)], [point_graph(3)], ["a", "b"], 1, 2)


def test_it_is_where_other_data_sets_are():
    assert train.load_graphs is load_graphs and {"load_graphs", "GraphData"} <= set(train.__all__)


def collated(root, file, graphs):
    """Write graphs as PyG's own data sets keep what they have processed."""
    place = root / "processed"
    place.mkdir(parents=True)
    InMemoryDataset.save(graphs, str(place / file))


def point_graph(label, nodes=12, **more):
    generator = torch.Generator().manual_seed(label)
    edges = torch.randint(nodes, (2, 30), generator=generator)
    pos = torch.rand(nodes, 2, generator=generator)
    return Data(x=torch.rand(nodes, 1, generator=generator), pos=pos, edge_index=edges, y=torch.tensor([label]), **more)


def test_mnist_superpixels(root):
    raw = root / "MNISTSuperpixels" / "raw"
    raw.mkdir(parents=True)
    (raw / "MNISTSuperpixels.pt").touch()
    collated(root / "MNISTSuperpixels", "train_data.pt", [point_graph(i) for i in range(10)])
    InMemoryDataset.save([point_graph(3)], str(root / "MNISTSuperpixels" / "processed" / "test_data.pt"))
    data = load_graphs("pyg/MNISTSuperpixels", root)
    assert (len(data.train), len(data.test), len(data.classes)) == (10, 1, 10)
    assert (data.channels, data.pos_dim, data.per_node) == (1, 2, False)


def test_pascal_superpixels_of_lrgb(root):
    raw = root / "LRGBDataset" / "pascalvoc-sp" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "val", "test"):
        x, edges = np.random.rand(9, 14).astype("float32"), np.random.randint(9, size=(2, 20))
        graph = tuple(map(torch.from_numpy, (x, np.random.rand(20, 2).astype("float32"), edges, np.arange(9) % 21)))
        with (raw / f"{part}.pickle").open("wb") as file:
            pickle.dump([graph], file)
    data = load_graphs("pyg/LRGBDataset/PascalVOC-SP", root)
    assert (data.channels, data.pos_dim, data.per_node, len(data.classes)) == (14, 0, True, 21)
    assert data.train[0].y.tolist() == list(range(9))


def test_planetoid(root):
    raw = root / "Planetoid" / "Cora" / "raw"
    raw.mkdir(parents=True)
    nodes = 4 + 500 + 3  # to train on, to choose models by, held out
    features = scipy.sparse.csr_matrix(np.eye(nodes, 5, dtype="float32"))
    labels = np.eye(3, dtype="int32")[np.arange(nodes) % 3]
    parts = {"x": features[:4], "tx": features[504:], "allx": features[:504], "y": labels[:4], "ty": labels[504:]}
    parts |= {"ally": labels[:504], "graph": {i: [(i + 1) % nodes] for i in range(nodes)}}
    for name, part in parts.items():
        with (raw / f"ind.cora.{name}").open("wb") as file:
            pickle.dump(part, file)
    (raw / "ind.cora.test.index").write_text("504\n505\n506\n")
    data = load_graphs("pyg/Planetoid/Cora", root)
    assert (data.channels, data.pos_dim, data.per_node, data.classes) == (5, 0, True, ["0", "1", "2"])
    assert (data.train[0].y >= 0).sum() == 4 and data.test[0].y[-3:].tolist() == [0, 1, 2]
    assert (data.test[0].y[:504] == -1).all()


def test_meshes_of_modelnet(root):
    for part, count in (("train", 2), ("test", 1)):
        for label in [
            "bathtub",
            "bed",
            "chair",
            "desk",
            "dresser",
            "monitor",
            "night_stand",
            "sofa",
            "table",
            "toilet",
        ]:
            folder = root / "ModelNet" / "10" / "raw" / label / part
            folder.mkdir(parents=True)
            for number in range(count):
                text = "OFF\n4 2 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 1 3\n"
                (folder / f"{label}_{number}.off").write_text(text)
    data = load_graphs("pyg/ModelNet/10", root)
    assert (len(data.train), len(data.test), data.channels, data.pos_dim) == (20, 10, 3, 3)
    assert data.train[0].pos.shape == (1024, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit-superpixels", r"no graphs are called 'digit-superpixels' \(did you mean 'digits-superpixels'\?\)"),
        ("pyg/Planetiod/Cora", r"no graphs are called .* \(did you mean 'pyg/Planetoid'\?\)"),
        ("pyg/GNNBenchmarkDataset/NOTHING", "PyG cannot load 'pyg/GNNBenchmarkDataset/NOTHING' from"),
    ],
)
def test_what_is_no_data_set_is_refused(root, name, message):
    with pytest.raises(ValueError, match=message):
        load_graphs(name, root)


def test_batches_hold_what_was_drawn_and_nothing_else():
    batches = GraphBatches([point_graph(i, extra=torch.ones(7)) for i in range(4)])
    batch = batches.__getitems__([Draw(2, 0), Draw(0, 0), Draw(-1, None)])
    assert batch.labels.tolist() == [2, 0, -1] and batch.images.num_graphs == 3
    assert set(batch.images.keys()) == {"x", "pos", "edge_index", "batch", "ptr"}
    nodes = GraphBatches([Data(x=torch.rand(3, 2), y=torch.tensor([1, 0, 2]))], per_node=True)
    assert nodes.__getitems__([Draw(0, None), Draw(-1, None)]).labels.tolist() == [1, 0, 2, -1, -1, -1]
