import builtins
import pickle

import numpy as np
import pytest
import torch
import torch_geometric.transforms as T
from PIL import Image
from skimage.segmentation import felzenszwalb, slic
from sklearn.datasets import load_digits, load_sample_image
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GCN, global_mean_pool
from torchvision.transforms import Compose, v2

import vig_pyg
from vig_pyg import MaxRelativeConv, SuperpixelGraph, image_data
from vig_pyg.graph.regions import most_similar

PHOTOGRAPH = load_sample_image("china.jpg")[::4, ::4].copy()
DIGITS = load_digits().images / 16
EDGES = ["region", "knn", "benchmark", "benchmark-positions"]


def segments_of(data):
    return data.segments.view(*data.image_size[0])


@pytest.mark.parametrize("n_segments", [10, 75, 150])
def test_segments_are_those_of_slic(n_segments):
    data = SuperpixelGraph(n_segments)(PHOTOGRAPH)
    assert np.array_equal(segments_of(data), slic(PHOTOGRAPH / 255, n_segments, start_label=0))
    assert data.segments.unique().tolist() == list(range(data.num_nodes))


def test_segments_are_those_of_felzenszwalb():
    data = SuperpixelGraph(method="felzenszwalb", scale=100, min_size=50)(PHOTOGRAPH)
    assert np.array_equal(segments_of(data), felzenszwalb(PHOTOGRAPH / 255, scale=100, min_size=50))


def test_options_go_to_scikit_image():
    data = SuperpixelGraph(20, compactness=1.0, sigma=1)(PHOTOGRAPH)
    assert np.array_equal(segments_of(data), slic(PHOTOGRAPH / 255, 20, 1.0, sigma=1, start_label=0))


def test_superpixels_of_gray_images_follow_the_image():
    image = torch.zeros(1, 24, 24)
    image[:, 5:14, 7:20] = 1
    data = SuperpixelGraph(16)(image)
    assert data.x[:, 1].max() == 0  # no superpixel is of both colors


@pytest.mark.parametrize("edges", EDGES)
def test_a_graph_has_all_that_is_promised(edges):
    data = SuperpixelGraph(edges=edges)((PHOTOGRAPH, 3))
    nodes = data.num_nodes
    assert data.validate()
    assert data.x.shape == (nodes, 9) and data.pos.shape == (nodes, 2) and data.y.tolist() == [3]
    assert data.image_size.tolist() == [list(PHOTOGRAPH.shape[:2])]
    assert data.edge_attr.shape == (data.num_edges, 1 if edges.startswith("benchmark") else 2)
    assert not data.has_self_loops() and not data.has_isolated_nodes()
    assert data.is_undirected() or edges != "region"
    assert data.x[:, 6].sum() == pytest.approx(1)
    assert all(value.isfinite().all() for value in (data.x, data.pos, data.edge_attr))


def test_edges_of_regions_say_how_long_the_border_is_and_how_colors_differ():
    image = torch.zeros(3, 4, 6)
    image[0, :, 3:] = 1
    data = SuperpixelGraph(method="felzenszwalb", sigma=0, min_size=1)(image)
    assert data.edge_index.tolist() == [[0, 1], [1, 0]]
    assert data.edge_attr.tolist() == [[4, 1], [4, 1]]
    assert data.pos.tolist() == [[1.5, 2], [4.5, 2]]


@pytest.mark.parametrize("k", [3, 8])
def test_nearest_neighbors_are_those_of_centroids(k):
    data = SuperpixelGraph(edges="knn", k=k)(PHOTOGRAPH)
    pos = data.pos.double()
    distance = torch.cdist(pos, pos).float().fill_diagonal_(torch.inf)
    nearest = distance.topk(k, largest=False).values.flatten()
    torch.testing.assert_close(data.edge_attr[:, 0], nearest)
    torch.testing.assert_close(distance[data.edge_index[1], data.edge_index[0]], nearest)
    color = data.x[:, :3]
    torch.testing.assert_close(
        data.edge_attr[:, 1], (color[data.edge_index[0]] - color[data.edge_index[1]]).norm(dim=1)
    )


@pytest.mark.parametrize("k", [4, 8])
def test_the_benchmark_uses_places_and_colors_or_places_only(k):
    both, places = (SuperpixelGraph(edges=edges, k=k)(PHOTOGRAPH) for edges in EDGES[2:])
    for data, features in ((both, [both.pos, both.x[:, :3]]), (places, [places.pos])):
        edge_index, similarity = most_similar([feature.double() for feature in features], k)
        assert torch.equal(data.edge_index, edge_index)
        torch.testing.assert_close(data.edge_attr, similarity[:, None].float())
    assert not torch.equal(both.edge_index, places.edge_index)


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("method", ["slic", "felzenszwalb"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 5), (4, 5, 1), (1, 3, 3), (6, 20, 30)])
@pytest.mark.filterwarnings("error")
def test_images_of_any_size_channels_and_content_have_a_graph(shape, method, edges):
    for image in (torch.rand(shape), torch.zeros(shape)):
        data = SuperpixelGraph(method=method, edges=edges)(image)
        assert data.num_nodes >= 1 and data.validate()
        assert data.segments.unique().tolist() == list(range(data.num_nodes))
        assert all(value.isfinite().all() for value in (data.x, data.edge_attr))
        assert data.x.min() >= 0 and data.x.max() <= 1 and data.x[:, shape[0] : 2 * shape[0]].max() <= 0.5
        assert data.x[:, -3].mean() == pytest.approx(1 / data.num_nodes)


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("method", ["slic", "felzenszwalb"])
def test_an_image_has_one_graph(method, edges):
    transform = SuperpixelGraph(method=method, edges=edges)
    graphs = [transform(PHOTOGRAPH), pickle.loads(pickle.dumps(transform))(PHOTOGRAPH)]
    for key, value in graphs[0]:
        assert torch.equal(value, graphs[1][key]), key


def test_a_pil_image_an_array_a_tensor_and_data_give_the_same_graph():
    tensor = torch.from_numpy(PHOTOGRAPH).permute(2, 0, 1)
    images = (Image.fromarray(PHOTOGRAPH), PHOTOGRAPH, tensor, tensor / 255, image_data(PHOTOGRAPH))
    first, *others = [SuperpixelGraph()(image) for image in images]
    for other in others:
        assert other.keys() == first.keys()
        assert all(torch.equal(value, other[key]) for key, value in first)


def test_images_of_different_sizes_make_one_batch():
    images = [PHOTOGRAPH, PHOTOGRAPH[:60, :50], DIGITS[0][..., None].repeat(3, 2)]
    graphs = [SuperpixelGraph(20)((image, y)) for y, image in enumerate(images)]
    (batch,) = DataLoader(graphs, batch_size=3)
    assert batch.image_size.tolist() == [list(image.shape[:2]) for image in images]
    # A value per node becomes one per pixel, for all images at once.
    assert torch.equal(batch.x[batch.segments], torch.cat([data.x[data.segments] for data in graphs]))
    for graph, original in zip(batch.to_data_list(), graphs, strict=True):
        assert torch.equal(segments_of(graph), segments_of(original))
        assert torch.equal(graph.edge_index, original.edge_index)


@pytest.mark.parametrize(
    "transform", [T.ToUndirected(), T.AddSelfLoops(), T.RemoveIsolatedNodes(), T.RandomLinkSplit()]
)
def test_segments_are_never_taken_for_values_of_edges_or_nodes(transform):
    graph = SuperpixelGraph(75, edges="knn")(torch.rand(1, 10, 12))
    graph.edge_index = graph.edge_index[:, :120]  # as many as pixels
    graph.edge_attr = graph.edge_attr[:120]
    assert graph.num_edges == len(graph.segments)
    assert not graph.is_edge_attr("segments") and not graph.is_node_attr("segments")
    changed = transform(graph)
    changed = changed[0] if isinstance(changed, tuple) else changed
    assert torch.equal(changed.segments, graph.segments)


def test_it_works_in_every_compose():
    image, digit = torch.from_numpy(DIGITS[0]).float()[None], 0
    graph = T.Compose([SuperpixelGraph(), T.ToUndirected(), T.Cartesian()])(image_data(image, digit))
    assert graph.edge_attr.shape == (graph.num_edges, 4) and graph.y.tolist() == [0]
    for compose in (Compose, v2.Compose):
        other = compose([SuperpixelGraph(), T.ToUndirected(), T.Cartesian()])((image, digit))
        assert all(torch.equal(value, other[key]) for key, value in graph)
    with pytest.raises(TypeError, match=r"got 0; if it is a label: .* give it image_data\(image, label\)"):
        T.Compose([SuperpixelGraph()])((image, digit))


def test_what_else_data_holds_is_handed_on():
    pixels = image_data(DIGITS[0], 7)
    pixels.name, pixels.fold = "first", torch.tensor([2])
    graph = SuperpixelGraph()(pixels)
    assert (graph.name, graph.fold.tolist(), graph.y.tolist()) == ("first", [2], [7])
    assert "grid" not in graph and "grid" in pixels


def test_operators_and_pyg_models_take_it():
    batch = Batch.from_data_list([SuperpixelGraph(16)((image, 0)) for image in DIGITS[:3]])
    assert MaxRelativeConv(5, 8)(batch.x, batch.edge_index).shape == (batch.num_nodes, 8)
    out = GCN(5, 8, 2, 10)(batch.x, batch.edge_index)
    assert global_mean_pool(out, batch.batch).shape == (3, 10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_features_are_of_single_precision_whatever_the_image_is_in(dtype):
    data = SuperpixelGraph(4)(torch.rand(1, 8, 8).to(dtype))
    assert data.x.dtype == data.pos.dtype == data.edge_attr.dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, "n_segments=75, method='slic', edges='region'"),
        ({"n_segments": 9, "edges": "knn", "sigma": 1}, "n_segments=9, method='slic', edges='knn', k=8, sigma=1"),
        ({"method": "felzenszwalb", "scale": 9}, "method='felzenszwalb', edges='region', scale=9"),
    ],
)
def test_it_shows_all_that_changes_a_graph(options, shown):
    assert repr(SuperpixelGraph(**options)) == f"SuperpixelGraph({shown})"


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"n_segments": 0}, ValueError, "n_segments must be at least 1, got 0"),
        ({"n_segments": 2.5}, TypeError, "n_segments must be a whole number, got 2.5"),
        ({"method": "quickshift"}, ValueError, "method must be one of slic, felzenszwalb, got 'quickshift'"),
        ({"edges": "all"}, ValueError, "edges must be one of region, knn, .*, got 'all'"),
        ({"edges": "knn", "k": 0}, ValueError, "k must be at least 1, got 0"),
        ({"k": 4}, ValueError, "edges='region' links what touches and does not take k=4"),
        ({"n_segments": 9, "method": "felzenszwalb"}, ValueError, "felzenszwalb does not take n_segments=9"),
        ({"scale": 9}, ValueError, "slic of scikit-image does not take {'scale': 9}"),
        ({"compactness": 0}, ValueError, "slic of scikit-image does not take {'compactness': 0}"),
        ({"start_label": 1}, ValueError, "slic of scikit-image does not take {'start_label': 1}"),
        ({"method": "felzenszwalb", "scale": "big"}, ValueError, "does not take {'scale': 'big'}"),
    ],
)
def test_what_has_no_meaning_is_refused_before_the_first_image(options, kind, message):
    with pytest.raises(kind, match=message) as error:
        SuperpixelGraph(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("transform", [SuperpixelGraph(), vig_pyg.PatchGraph(2, k=1)])
@pytest.mark.parametrize(
    ("image", "kind", "message"),
    [
        ("image.png", TypeError, "got str"),
        (torch.rand(8, 8), ValueError, r"shape \[C, H, W\], got \[8, 8\]"),
        (torch.full((1, 8, 8), torch.nan), ValueError, "must be finite, but"),
        ((torch.rand(1, 8, 8), "cat"), TypeError, "a label must be one number"),
        (Data(x=torch.rand(4, 1)), TypeError, r"Data must be the pixels of an image, as image_data\(image, label\)"),
        (vig_pyg.PatchGraph(2, k=1)(torch.rand(1, 4, 4)), TypeError, "Data must be the pixels of an image"),
        (Data(x=torch.rand(4, 1), grid=torch.tensor([[2, 3]])), ValueError, r"one row of x per pixel .*\[\[2, 3\]\]"),
        (Batch.from_data_list([image_data(DIGITS[0])] * 2), ValueError, "of one image"),
    ],
)
def test_an_image_that_cannot_be_a_graph_is_refused(transform, image, kind, message):
    with pytest.raises(kind, match=message) as error:
        transform(image)
    assert "\n" not in str(error.value)


def test_without_scikit_image_it_says_how_to_get_it(monkeypatch):
    def without(name, *args, **kwargs):
        if name.startswith("skimage"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return imported(name, *args, **kwargs)

    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"needs scikit-image: pip install 'vig_pyg\[superpixels\]'"):
        SuperpixelGraph()
