"""Images of any size, alone and together, and those that do not fit."""

import pytest
import timm
import torch
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader

import vig_pyg
from vig_pyg.graph.knn import KNNGraph
from vig_pyg.graph.layout import NodeLayout
from vig_pyg.models.vision_gnn import VisionGNN

MICRO = ["vig_micro", "pvig_micro"]
SIZES = [(32, 32), (24, 40), (33, 47), (51, 24), (32, 32), (29, 29)]


def create(name, **options):
    torch.manual_seed(0)
    model = timm.create_model(name, **options).double().eval()
    with torch.no_grad():
        model.pos_embed.normal_()
    return model


def image(size, channels=3):
    return torch.rand(channels, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(size)))


@pytest.fixture(scope="module", params=MICRO)
def model(request):
    return create(request.param, k=5)


def test_the_way_of_an_image_is_the_same_in_both_families(model):
    for name in ("forward", "forward_features", "forward_head", "forward_graphs", "forward_intermediates"):
        assert getattr(type(model), name) is getattr(VisionGNN, name)


@pytest.mark.parametrize("size", [(17, 17), (32, 64), (100, 20), (31, 33), (64, 64)])
def test_images_of_any_size_have_logits(model, size):
    with torch.no_grad():
        assert model(image(size)[None]).isfinite().all()


@pytest.mark.parametrize("name", ["vig_tiny", "pvig_tiny"])
@pytest.mark.parametrize("size", [(160, 160), (131, 197)])
def test_full_models_take_other_sizes_than_their_own(name, size):
    with torch.no_grad():
        logits = create(name, num_classes=3)(image(size)[None])
    assert logits.isfinite().all()


def test_a_batch_of_several_sizes_gives_each_image_its_own_logits(model):
    batch = Batch.from_data_list([vig_pyg.image_data(image(size)) for size in SIZES])
    with torch.no_grad():
        together = model(batch)
        alone = torch.cat([model(image(size)[None]) for size in SIZES])
    assert together.shape == (len(SIZES), 10)
    assert (together - alone).abs().max() < 1e-9 * alone.abs().max()


@pytest.mark.parametrize(
    "options", [{"conv": "edge"}, {"conv": "gat"}, {"graph": "static"}, {"readout": "accumulated"}]
)
@pytest.mark.parametrize("name", MICRO)
def test_choices_keep_images_of_several_sizes_apart(name, options):
    model = create(name, k=5, **options)
    batch = Batch.from_data_list([vig_pyg.image_data(image(size)) for size in SIZES])
    with torch.no_grad():
        alone = torch.cat([model(image(size)[None]) for size in SIZES])
        assert (model(batch) - alone).abs().max() < 1e-9 * alone.abs().max()


def test_a_batch_of_several_sizes_trains(model):
    images = [vig_pyg.image_data(image(size), y) for y, size in enumerate(SIZES)]
    batch = next(iter(DataLoader(images, batch_size=len(images))))
    model.train()
    torch.nn.functional.cross_entropy(model(batch), batch.y).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    model.zero_grad()
    model.eval()


@pytest.mark.parametrize(("name", "patch"), [("vig_micro", 4), ("pvig_micro", 2)])
def test_patch_graphs_are_as_good_as_images(name, patch):
    model = create(name, stem="patch", k=5)
    sizes = [(32, 32), (25, 43)]
    graphs = [vig_pyg.PatchGraph(patch, k=5)(image(size)) for size in sizes]
    with torch.no_grad():
        alone = torch.cat([model(image(size)[None]) for size in sizes])
        assert (model(Batch.from_data_list(graphs)) - alone).abs().max() < 1e-9 * alone.abs().max()
        same = model(torch.stack([image((32, 32))] * 2))
        torch.testing.assert_close(same, model(Batch.from_data_list(graphs[:1] * 2)))


def test_dilation_shrinks_where_nodes_are_too_few():
    x = torch.randn(20, 8)
    for nodes, expected in [(20, 2), (19, 2), (15, 1), (9, 1)]:
        layout = NodeLayout.uniform(1, 1, nodes)
        wide = KNNGraph(nodes)(x[:nodes], layout).as_tensor()[0].view(nodes, nodes)
        found = KNNGraph(9, 3)(x[:nodes], layout).as_tensor()[0].view(nodes, 9)
        assert torch.equal(found, wide[:, : 9 * expected : expected])
    with torch.no_grad():
        model = create("vig_micro", k=9, dilation=4)
        assert model(image((12, 12))[None]).isfinite().all()


# What does not fit ##################################################################################


def one_sentence(caught):
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 160


@pytest.mark.parametrize(("name", "stride", "size"), [("vig_micro", 4, (3, 40)), ("pvig_micro", 2, (40, 1))])
@pytest.mark.parametrize("stem", ["conv", "patch"])
def test_an_image_smaller_than_the_stride_is_named(name, stride, size, stem):
    model = create(name, stem=stem)
    sentence = f"an image of {size[0]}×{size[1]} pixels is smaller than the stride of the stem, {stride}"
    for inputs in (image(size)[None], Batch.from_data_list([vig_pyg.image_data(image(s)) for s in [(32, 32), size]])):
        with pytest.raises(ValueError, match=sentence) as caught:
            model(inputs)
        one_sentence(caught)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("vig_micro", "k=9 neighbors need at least 9 nodes, but an image of 2×2 nodes offers 4"),
        ("pvig_micro", "k=9 neighbors need at least 9 nodes, but an image of 4×4 nodes offers 4"),
    ],
)
def test_more_neighbors_than_nodes_are_named(name, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        create(name)(image((8, 8))[None])
    one_sentence(caught)


@pytest.mark.parametrize("shape", [(3, 32, 32), (32, 32), (1, 1, 3, 32, 32), (2, 4, 32, 32), (2, 32, 32, 3)])
def test_a_wrong_shape_is_named(model, shape):
    sentence = rf"images must have shape \[B, 3, H, W\], got \[{', '.join(map(str, shape))}\]"
    for method in (model, model.forward_features, model.forward_graphs, model.forward_intermediates):
        with pytest.raises(ValueError, match=sentence) as caught:
            method(torch.zeros(shape, dtype=torch.float64))
        one_sentence(caught)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.long, torch.bool])
def test_whole_numbers_are_refused(model, dtype):
    with pytest.raises(TypeError, match=f"floating point numbers, got {dtype}: divide bytes by 255 first") as caught:
        model(torch.zeros(1, 3, 32, 32, dtype=dtype))
    one_sentence(caught)


@pytest.mark.parametrize("missing", ["x", "grid"])
def test_a_batch_without_pixels_or_grid_is_refused(model, missing):
    data = vig_pyg.image_data(image((32, 32)))
    del data[missing]
    with pytest.raises(ValueError, match="a batch needs x and grid: make its graphs with image_data or PatchGraph"):
        model(Batch.from_data_list([data]))


def test_a_batch_whose_grids_do_not_fit_is_refused(model):
    data = Data(x=torch.zeros(50, 3, dtype=torch.float64), grid=torch.tensor([[7, 7]]))
    with pytest.raises(ValueError, match="grids of the batch hold 49 nodes, but x has 50 rows"):
        model(Batch.from_data_list([data]))


@pytest.mark.parametrize("channels", [1, 4, 12])
def test_a_batch_of_other_channels_is_refused(model, channels):
    batch = Batch.from_data_list([vig_pyg.image_data(image((32, 32), channels))])
    with pytest.raises(ValueError, match=rf"must have 3 channels \(pixels\).*got {channels}"):
        model(batch)


def test_patches_of_another_size_are_refused():
    batch = Batch.from_data_list([vig_pyg.PatchGraph(8, k=5)(image((32, 32)))])
    with pytest.raises(ValueError, match=r"must have 3 channels \(pixels\) or 48 \(patches\), got 192"):
        create("vig_micro", stem="patch")(batch)


def test_maps_of_images_of_several_sizes_are_refused(model):
    batch = Batch.from_data_list([vig_pyg.image_data(image(size)) for size in SIZES])
    with pytest.raises(ValueError, match="images of different sizes have no common feature map"):
        model.forward_features(batch)


@pytest.mark.parametrize("wrong", [-1, 64, 9_999_999_999])
def test_an_edge_of_a_batch_that_points_outside_is_refused(wrong):
    graph = vig_pyg.PatchGraph(4, k=9)(image((32, 32)))
    graph.edge_index[0, 0] = wrong
    model = create("vig_micro", stem="patch", graph="static").eval()
    with pytest.raises(ValueError, match=f"an edge has source {wrong}, but there are 64 source nodes"):
        model(Batch.from_data_list([graph]))


@pytest.mark.parametrize(("inputs", "what"), [(None, "NoneType"), ([1], "list")])
def test_neither_images_nor_a_batch_is_refused(inputs, what):
    with pytest.raises(TypeError, match=rf"takes images \[B, 3, H, W\] or a PyG Batch, got {what}"):
        create("vig_micro")(inputs)
