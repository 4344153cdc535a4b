"""``vig-pyg visualize``, as a person types it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torch_geometric.data import Data

from tests.commands.test_commands import call, done
from tests.data.broken import BROKEN
from vig_pyg.commands.visualize import untrained
from vig_pyg.data.graph_sets import GraphData
from vig_pyg.data.images import LIMIT
from vig_pyg.data.transforms import inference_transform as transform_of
from vig_pyg.study import neighbors
from vig_pyg.tasks import Epoch, read_recipe
from vig_pyg.tasks.graphs import GraphClassification

MICRO = ("--model", "vig_micro")


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "china.jpg"
    Image.fromarray(load_sample_image("china.jpg")).save(path)
    return path


def numbers(page: Path) -> dict:
    """Return what a page holds."""
    return json.loads(re.search(r'id="numbers">(.*?)</script>', page.read_text(), re.S)[1])


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_picture_by_its_suffix(photo, suffix, tmp_path):
    out = tmp_path / "new" / f"graphs.{suffix}"
    words = ("--blocks", "1,4", "--node", "2,3", "--node", "7,7", "--out", out)
    output = done("visualize", photo, *MICRO, *words)
    assert f"Written to {out}: vig_micro, untrained; 1 image(s)." in output
    if suffix == "png":
        with Image.open(out) as picture:
            assert picture.width > 900 and np.asarray(picture.convert("L")).std() > 20
    else:
        assert "<svg" in out.read_text()[:2000]
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_page_holds_the_edges_of_the_model(photo, tmp_path):
    page = tmp_path / "graphs.html"
    done("visualize", photo, "--model", "vig_micro", "--model", "pvig_micro", "--html", "--out", page)
    for name, graphs in zip(("vig_micro", "pvig_micro"), numbers(page)["graphs"], strict=True):
        torch.manual_seed(0)
        model = timm.create_model(name)
        with Image.open(photo) as image:
            prepared = transform_of(model)(image.convert("RGB"))
        for block, graph in enumerate(graphs, start=1):
            sources = torch.tensor(graph["neighbors"]).flatten()
            assert torch.equal(sources, neighbors(model, prepared, block).edge_index[0])


def test_operators_are_side_by_side(photo, tmp_path):
    page = tmp_path / "page.html"
    words = ("--conv", "gin", "--conv", "gat", "--blocks", "2,3", "--node", "5,6", "--out", page)
    output = done("visualize", photo, *MICRO, *words)
    assert "vig_micro, gin, untrained; vig_micro, gat, untrained" in output
    found = numbers(page)
    assert len(found["graphs"]) == 2 and found["blocks"] == [2, 3]
    assert found["place"] == [5.5 / 8, 6.5 / 8]


def test_graphs_are_side_by_side(photo, tmp_path):
    page = tmp_path / "page.html"
    words = ("--graph", "knn", "--graph", "grid", "--blocks", "1", "--out", page)
    output = done("visualize", photo, *MICRO, *words)
    assert "vig_micro, knn, untrained; vig_micro, grid, untrained" in output
    _, [grid, *_] = numbers(page)["graphs"]
    around = [8 * row + column for row in (2, 3, 4) for column in (2, 3, 4)]
    assert sorted(grid["neighbors"][8 * 3 + 3]) == around


def test_many_graphs_of_one_block_are_a_panel_each(photo, tmp_path):
    graphs = [word for name in ("knn", "grid", "greedy", "gated", "axial", "log") for word in ("--graph", name)]
    sizes = []
    for blocks in (("--blocks", "2"), ()):
        done("visualize", photo, *MICRO, *graphs, *blocks, "--out", tmp_path / "graphs.png")
        with Image.open(tmp_path / "graphs.png") as picture:
            sizes.append(picture.size)
    (width, height), (_, tall) = sizes
    assert width > 1.8 * height and tall > 2 * height  # two rows of five panels, six rows of three


def test_weights_and_other_image_sizes(photo, tmp_path):
    torch.manual_seed(5)
    model = timm.create_model("pvig_micro")
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    page = tmp_path / "page.html"
    words = ("--weights", tmp_path / "weights.safetensors", "--model", "pvig_micro", "--image-size", 64, "--out", page)
    done("visualize", photo, *words)
    with Image.open(photo) as image:
        graph = neighbors(model, transform_of(model, 64)(image.convert("RGB")), 1)
    found = numbers(page)["graphs"][0][0]
    assert found["grid"] == [32, 32] and found["sources"] == [16, 16]
    assert torch.equal(torch.tensor(found["neighbors"]).flatten(), graph.edge_index[0])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere.jpg"], "'nowhere.jpg' names no image"),
        (["BROKEN"], "broken.png is no image that can be read"),
        (["PHOTO", *MICRO, "--blocks", "1,5"], "there is no block 5: this model's blocks are 1 to 4"),
        (["PHOTO", *MICRO, "--blocks", "0"], "there is no block 0"),
        (["PHOTO", *MICRO, "--blocks", "first"], "--blocks must be numbers such as 1,12, got 'first'"),
        (["PHOTO", *MICRO, "--node", "8,0"], "there is no node 8,0: rows go from 0 to 7"),
        (["PHOTO", *MICRO, "--node", "8"], "--node must be a row and a column such as 4,5, got '8'"),
        (["PHOTO", "--model", "vig_tny"], "did you mean vig_tiny?"),
        (["PHOTO", "--model", "resnet18"], "resnet18 builds no graphs"),
        (["PHOTO", *MICRO, "--conv", "egde"], "did you mean 'edge'?"),
        (["PHOTO", "--weights", "nowhere.pth"], "there are no weights in nowhere.pth"),
        (["PHOTO", *MICRO, "--weights", "OTHER"], "other.safetensors is not of this ViG"),
        (["PHOTO", "--weights", "OTHER"], "does not say which model it is of: add --model"),
        (["PHOTO", "--weights", "OTHER", "--conv", "gin"], "weights bring their own operator"),
        (["PHOTO", "--weights", "OTHER", "--graph", "grid"], "weights bring their own graph"),
        (["PHOTO", *MICRO, "--graph", "gird"], "did you mean 'grid'?"),
        (["PHOTO", *MICRO, *MICRO, "--weights", "OTHER"], "there are 1 --weights but 2 --model"),
        (["PHOTO", *MICRO, "--out", "graphs.txt"], "--out must end in .png or .svg or .html, got 'graphs.txt'"),
        (["PHOTO", *MICRO, "--html", "--out", "graphs.png"], "--out must end in .html, got 'graphs.png'"),
        (["PHOTO", *MICRO, "--image-size", "4"], "k=9 neighbors need at least 9 nodes"),
    ],
)
def test_wrong_input_is_one_sentence_and_status_2(words, sentence, photo, tmp_path, monkeypatch):
    (tmp_path / "broken.png").write_bytes(b"no image")
    save_file(timm.create_model("pvig_micro").state_dict(), tmp_path / "other.safetensors")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    places = {"PHOTO": photo, "BROKEN": tmp_path / "broken.png", "OTHER": tmp_path / "other.safetensors"}
    status, output = call("visualize", *(places.get(word, word) for word in words))
    assert status == 2, output
    assert sentence in output and "Traceback" not in output
    assert not list(work.iterdir())


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_image_is_one_sentence_and_status_2(kind, tmp_path):
    write, sentence = BROKEN[kind]
    write(tmp_path / "broken.png")
    status, output = call("visualize", tmp_path, *MICRO, "--out", tmp_path / "graphs.png")
    assert status == 2 and re.search(sentence, output), output
    assert "broken.png" in output and not (tmp_path / "graphs.png").exists()


def test_the_limit_of_pixels_is_an_option(photo, tmp_path, monkeypatch):
    monkeypatch.setenv(LIMIT, "1000000")  # and is restored
    out = tmp_path / "graphs.png"
    status, output = call("visualize", photo, *MICRO, "--out", out, "--max-pixels", 100_000)
    assert status == 2 and "china.jpg has 640×427 = 273,280 pixels, more than the limit of 100,000" in output
    done("visualize", photo, *MICRO, "--out", out, "--max-pixels", 273_280)


def test_a_model_without_weights_is_one_of_ours():
    assert untrained("vig_micro", graph="grid").blocks[0].grapher.graph.k == 9
    with pytest.raises(ValueError, match="resnet18"):
        untrained("resnet18")


def test_a_graph_in_a_file_is_drawn_by_a_model_that_was_trained_on_graphs(photo, tmp_path):
    recipe = read_recipe("points", ["model_options.depth=2", "model_options.channels=16"])
    cloud = Data(pos=torch.rand(40, 3))
    data = GraphData("clouds", [cloud], [cloud], ["a", "b"], 3, 3)
    model = GraphClassification.build_model(recipe, data)
    epoch = Epoch(1.0, {"accuracy": 0.5}, 0.1, 1.0, 0.0)
    GraphClassification(data, recipe).save(model, model.state_dict(), tmp_path / "best", [epoch])
    torch.save(cloud, tmp_path / "cloud.pt")
    words = ("visualize", tmp_path / "cloud.pt", "--weights", tmp_path / "best")
    output = done(*words, "--node", "7", "--out", tmp_path / "graphs.png")
    assert "1 graph(s)" in output and (tmp_path / "graphs.png").is_file()
    for more, sentence in {
        ("--node", "40"): "there is no node 40: the graph's are 0 to 39",
        ("--node", "4,5"): "--node must be the number of a node such as 40, got '4,5'",
        ("--html",): "--html is for images",
        ("--image-size", "32"): "--image-size 32 changes nothing",
    }.items():
        status, said = call(*words, *more, *([] if "--html" in more else ["--out", tmp_path / "none.png"]))
        assert status == 2 and sentence in said and not (tmp_path / "none.png").exists()
    assert "is not what the model takes, images" in call("visualize", tmp_path / "cloud.pt", *MICRO)[1]
    assert "is not what the model takes, graphs (.pt)" in call("visualize", photo, *words[2:])[1]
