import pytest
import torch
import torch_geometric.transforms as T
from sklearn.datasets import load_digits
from torch.utils.data import TensorDataset
from torch_geometric.loader import DataLoader

from vig_pyg import GraphDataset, PatchGraph, SuperpixelGraph, graphs_of, image_data

IMAGES = torch.from_numpy(load_digits().images[:12]).float()[:, None] / 16
LABELS = torch.from_numpy(load_digits().target[:12])
PAIRS = list(zip(IMAGES, LABELS.tolist(), strict=True))


def same(graph, other):
    return graph.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in graph)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("transform", [SuperpixelGraph(16), PatchGraph(2, k=4)])
def test_graphs_are_in_the_order_of_their_images_however_many_work(transform, workers):
    graphs = graphs_of(PAIRS, transform, workers=workers, log=False)
    assert len(graphs) == len(PAIRS)
    assert all(same(graph, transform(pair)) for graph, pair in zip(graphs, PAIRS, strict=True))


def test_images_come_as_lists_tensors_data_sets_or_data():
    transform = SuperpixelGraph(16)
    expected = graphs_of(PAIRS, transform, log=False)
    for images in (TensorDataset(IMAGES, LABELS), [image_data(*pair) for pair in PAIRS]):
        assert all(map(same, graphs_of(images, transform, log=False), expected))
    assert "y" not in graphs_of(IMAGES, transform, log=False)[0]


def test_a_bar_shows_how_far_it_is(capsys):
    graphs_of(PAIRS, SuperpixelGraph(4))
    assert "Graphs of images: 100%" in capsys.readouterr().err
    graphs_of(PAIRS, SuperpixelGraph(4), log=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.filterwarnings("error")
def test_a_data_set_makes_graphs_once(tmp_path):
    transform = T.Compose([SuperpixelGraph(16), T.ToUndirected()])
    made = GraphDataset(tmp_path, PAIRS, transform, workers=2, log=False)
    read = GraphDataset(tmp_path, [None] * len(PAIRS), transform)  # not one image is looked at
    assert len(read) == len(PAIRS) and read.num_classes == 10 and read.num_features == 5
    assert all(same(graph, transform(image_data(*pair))) for graph, pair in zip(read, PAIRS, strict=True))
    assert all(map(same, made, read))
    (batch,) = DataLoader(read, batch_size=12)
    assert batch.y.tolist() == LABELS.tolist()
    assert GraphDataset(tmp_path, PAIRS, transform, T.Cartesian())[0].edge_attr.shape[1] == 4


def test_images_of_different_sizes_are_kept(tmp_path):
    images = [torch.rand(3, 9, 7), torch.rand(3, 12, 20)]
    data = GraphDataset(tmp_path, images, SuperpixelGraph(9), log=False)
    assert data[1].segments.view(12, 20).unique().tolist() == list(range(data[1].num_nodes))


@pytest.mark.parametrize("other", [SuperpixelGraph(9), SuperpixelGraph(16, edges="knn"), SuperpixelGraph(16, sigma=1)])
def test_another_transform_is_warned_of(tmp_path, other):
    GraphDataset(tmp_path, PAIRS, SuperpixelGraph(16), log=False)
    with pytest.warns(UserWarning, match="`pre_transform` argument differs"):
        old = GraphDataset(tmp_path, PAIRS, other)
    assert same(old[0], SuperpixelGraph(16)(PAIRS[0]))
    assert same(GraphDataset(tmp_path, PAIRS, other, log=False, force_reload=True)[0], other(PAIRS[0]))


def test_the_folder_of_other_images_is_refused(tmp_path):
    GraphDataset(tmp_path, PAIRS, SuperpixelGraph(16), log=False)
    with pytest.raises(ValueError, match="holds 12 graphs, but there are 5 images: give another folder, or"):
        GraphDataset(tmp_path, PAIRS[:5], SuperpixelGraph(16))
    assert len(GraphDataset(tmp_path, PAIRS[:5], SuperpixelGraph(16), log=False, force_reload=True)) == 5


def test_one_image_is_a_data_set_and_none_is_refused(tmp_path):
    assert len(GraphDataset(tmp_path / "one", PAIRS[:1], SuperpixelGraph(16), log=False)) == 1
    with pytest.raises(ValueError, match="there are no images: give at least one"):
        GraphDataset(tmp_path / "none", [], SuperpixelGraph(16), log=False)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_a_graph_is_named(workers):
    with pytest.raises(ValueError, match=r"image 1: an image tensor must have shape \[C, H, W\], got \[8, 8\]"):
        graphs_of([IMAGES[0], IMAGES[0, 0]], SuperpixelGraph(4), workers=workers, log=False)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (zip(IMAGES, LABELS, strict=True), {}, "images must have a length and give each by its number, got zip"),
        (PAIRS, {"transform": 3}, "transform must be callable, got 3"),
        (PAIRS, {"workers": 1.5}, "workers must be a whole number, got 1.5"),
    ],
)
def test_what_cannot_be_is_refused(images, options, message):
    with pytest.raises(TypeError, match=message):
        graphs_of(images, **({"transform": SuperpixelGraph(4)} | options))
