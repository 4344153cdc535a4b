import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
import torch_geometric.transforms as T
from PIL import Image
from skimage import data as samples
from sklearn.datasets import load_sample_images
from torch.utils.data import Dataset
from torch_geometric.data import Batch
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GCN, GraphSAGE, global_mean_pool

from vig_pyg import SuperpixelGraph
from vig_pyg.graph import PatchGraph, image_data, knn_graph

CHINA, FLOWER = load_sample_images().images
PHOTOGRAPHS = [CHINA[::5, ::7], FLOWER[:200:2, ::9], samples.astronaut()[::7, ::4], samples.chelsea()[::3, ::5]]
MADE_AND_TAKEN = [
    (image_data, "vig_micro", {}),
    (image_data, "pvig_micro", {}),
    (PatchGraph(8), "vig_micro", {"stem": "patch", "stride": 8}),
    (SuperpixelGraph(40), "vig_micro", {"stem": "nodes", "in_chans": 9}),
    (SuperpixelGraph(200), "pvig_micro", {"stem": "nodes", "in_chans": 9}),
]


class Photographs(Dataset):
    """Four photographs of four sizes, made ``Data`` in double precision by the workers of a loader."""

    def __init__(self, make):
        self.make = make

    def __len__(self):
        return len(PHOTOGRAPHS)

    def __getitem__(self, number):
        photograph = PHOTOGRAPHS[number], number % 2
        data = image_data(*photograph) if self.make is image_data else self.make(photograph)
        return data.apply(lambda value: value.double() if value.is_floating_point() else value)


def loader_of(make):
    return DataLoader(Photographs(make), batch_size=3, num_workers=2, pin_memory=True)


def random_bytes(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def patches_by_definition(tensor, size):
    channels, height, width = tensor.shape
    rows = []
    for top in range(0, height - size + 1, size):
        for left in range(0, width - size + 1, size):
            patch = tensor[:, top : top + size, left : left + size]
            rows.append(torch.cat([patch[channel].reshape(-1) for channel in range(channels)]))
    return torch.stack(rows)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 12), (11, 14)])
@pytest.mark.parametrize("channels", [1, 3])
def test_nodes_are_patches_row_by_row_and_channel_by_channel(height, width, channels):
    image = torch.rand(channels, height, width)
    data = PatchGraph(4, k=2)(image)
    assert torch.equal(data.x, patches_by_definition(image, 4))
    assert data.grid.tolist() == [[height // 4, width // 4]]
    assert data.pos[0].tolist() == [2, 2]
    assert data.pos[-1].tolist() == [width // 4 * 4 - 2, height // 4 * 4 - 2]
    assert torch.equal(data.edge_index, knn_graph(data.x, 2, loop=True, cosine=True).as_tensor())
    assert data.y is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_pil_image_an_array_and_a_tensor_give_the_same_graph(mode):
    shape = {"L": (12, 16), "RGB": (12, 16, 3), "RGBA": (12, 16, 4)}[mode]
    array = random_bytes(*shape)
    tensor = torch.from_numpy(np.atleast_3d(array).transpose(2, 0, 1).copy())
    graphs = [PatchGraph(4, k=3)(i) for i in (Image.fromarray(array), array, tensor, tensor / 255)]
    for data in graphs:
        assert torch.equal(data.x, patches_by_definition(tensor / 255, 4))
        assert torch.equal(data.edge_index, graphs[0].edge_index)


@pytest.mark.parametrize("label", [3, torch.tensor(3), torch.tensor([3]), np.int64(3)])
def test_the_label_of_a_pair_becomes_y(label):
    data = PatchGraph(4, k=2)((Image.fromarray(random_bytes(8, 8)), label))
    assert data.y.tolist() == [3]


def test_pixels_as_data_give_the_same_graph_in_a_compose_and_what_else_they_hold_is_handed_on():
    image = random_bytes(8, 12, 3)
    pixels = image_data(image, 3)
    pixels.name = "first"
    expected = T.ToUndirected()(PatchGraph(4, k=2)((image, 3)))
    data = T.Compose([PatchGraph(4, k=2), T.ToUndirected()])(pixels)
    assert all(torch.equal(value, data[key]) for key, value in expected)
    assert set(data.keys()) == {*expected.keys(), "name"} and data.name == "first"
    assert pixels.grid.tolist() == [[8, 12]]


def test_it_shows_all_that_changes_a_graph():
    shown = "PatchGraph(patch_size=4, k=3, dilation=2, cosine=False)"
    assert repr(PatchGraph(4, k=3, dilation=2, cosine=False)) == shown


@pytest.mark.parametrize("array", [random_bytes(8, 8), random_bytes(8, 8, 3)])
def test_an_array_that_is_a_flipped_view_is_read_as_it_looks(array):
    flipped = array[::-1, ::-1]
    assert torch.equal(PatchGraph(4, k=2)(flipped).x, PatchGraph(4, k=2)(flipped.copy()).x)


def test_arrays_of_floats_are_not_scaled_and_not_shared():
    array = np.full((4, 4), 7.0, dtype=np.float32)
    data = image_data(array)
    array[:] = 0
    assert data.x.unique().tolist() == [7]


def test_dilation_and_distance_are_handed_on():
    image = torch.rand(3, 16, 16)
    data = PatchGraph(4, k=3, dilation=2, cosine=False)(image)
    assert torch.equal(data.edge_index, knn_graph(data.x, 3, loop=True, dilation=2).as_tensor())


def test_image_data_holds_one_node_a_pixel():
    image = torch.rand(3, 2, 5)
    data = image_data(image, y=4)
    assert torch.equal(data.x, image.flatten(1).T)
    assert data.grid.tolist() == [[2, 5]]
    assert data.y.tolist() == [4]
    batch = Batch.from_data_list([data, image_data(torch.rand(3, 4, 4), y=1)])
    assert batch.grid.tolist() == [[2, 5], [4, 4]]
    assert batch.y.tolist() == [4, 1]


def test_a_loader_batches_graphs_of_images_of_different_sizes():
    transform = PatchGraph(4, k=3)
    graphs = [transform((random_bytes(height, 16, 3, seed=height), height)) for height in (8, 12, 20)]
    (batch,) = DataLoader(graphs, batch_size=3)
    assert batch.num_graphs == 3
    assert batch.y.tolist() == [8, 12, 20]
    assert batch.grid.tolist() == [[2, 4], [3, 4], [5, 4]]
    assert torch.equal(batch.batch[batch.edge_index[0]], batch.batch[batch.edge_index[1]])
    for graph, original in zip(batch.to_data_list(), graphs, strict=True):
        assert torch.equal(graph.edge_index, original.edge_index)
        assert torch.equal(graph.pos, original.pos)


@pytest.mark.parametrize("architecture", [GCN, GraphSAGE])
def test_a_stock_pyg_model_trains_on_patch_graphs(architecture):
    torch.manual_seed(0)
    transform = PatchGraph(4, k=4)
    images = torch.rand(16, 1, 16, 16) * 0.5
    labels = [i % 2 for i in range(16)]
    images[1::2, :, :8] += 0.5
    loader = DataLoader([transform((i, y)) for i, y in zip(images, labels, strict=True)], batch_size=8)
    model = architecture(16, 32, num_layers=2, out_channels=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def total_loss():
        losses = []
        for batch in loader:
            logits = global_mean_pool(model(batch.x, batch.edge_index), batch.batch)
            losses.append(F.cross_entropy(logits, batch.y))
            optimizer.zero_grad()
            losses[-1].backward()
            optimizer.step()
        return sum(loss.item() for loss in losses)

    losses = [total_loss() for _ in range(20)]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("image", "kind", "message"),
    [
        (torch.rand(3, 3, 9), ValueError, "3×9 pixels is smaller than a patch of 4"),
        (torch.rand(8, 8), ValueError, r"shape \[C, H, W\], got \[8, 8\]"),
        (torch.rand(2, 3, 8, 8), ValueError, r"got \[2, 3, 8, 8\]"),
        (np.zeros(8), ValueError, r"shape \[H, W\] or \[H, W, C\], got \[8\]"),
        (np.zeros((2, 8, 8, 3)), ValueError, r"got \[2, 8, 8, 3\]"),
        ("image.png", TypeError, "got str"),
        (None, TypeError, "got NoneType"),
        (torch.full((1, 8, 8), torch.nan), ValueError, "row 0 holds NaN"),
        (
            torch.rand(1, 8, 8),
            ValueError,
            "k=9 neighbors need at least 9 nodes, but an image of 8×8 pixels has 4 patches",
        ),
    ],
)
def test_an_image_that_cannot_be_a_graph_is_refused(image, kind, message):
    with pytest.raises(kind, match=message) as error:
        PatchGraph(4)(image)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [0, -4])
def test_a_patch_without_pixels_is_refused(size):
    with pytest.raises(ValueError, match=f"patch_size must be at least 1, got {size}"):
        PatchGraph(size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must be at least 1, got 0"),
        ({"dilation": -1}, "dilation must be at least 1, got -1"),
        ({"backend": "fast"}, "backend must be one of .*, got 'fast'"),
    ],
)
def test_a_search_that_cannot_be_is_refused_before_the_first_image(options, message):
    with pytest.raises(ValueError, match=message):
        PatchGraph(4, **options)


@pytest.mark.parametrize("patch_size", [2.5, float("nan"), True, "2"])
def test_a_side_of_a_patch_that_is_not_whole_is_refused(patch_size):
    with pytest.raises(TypeError, match="patch_size must be a whole number"):
        PatchGraph(patch_size)


@pytest.mark.parametrize("label", ["cat", torch.tensor([1, 2]), [1]])
def test_a_label_that_is_not_one_number_is_refused(label):
    with pytest.raises(TypeError, match="a label must be one number"):
        image_data(torch.rand(3, 8, 8), label)
    with pytest.raises(TypeError, match="a label must be one number"):
        PatchGraph(2)((torch.rand(3, 8, 8), label))


def test_16_bits_become_0_to_1_and_palettes_are_refused():
    numbers = np.random.default_rng(0).integers(2**16, size=(6, 8), dtype=np.uint16)
    for image in (numbers, Image.fromarray(numbers)):
        torch.testing.assert_close(image_data(image).x[:, 0].numpy(), (numbers / 65535).astype(np.float32).flatten())
    with pytest.raises(ValueError, match=r"mode P holds numbers of colors: take image.convert\('RGB'\)"):
        image_data(Image.new("P", (4, 4)))


# Photographs of any sizes in PyG's loader, which warns that it pins nothing where there is no accelerator ########
OF_PHOTOGRAPHS = pytest.mark.parametrize(("make", "name", "options"), MADE_AND_TAKEN)


@OF_PHOTOGRAPHS
def test_photographs_get_from_a_loader_the_logits_that_they_get_alone(make, name, options):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=2, **options).double().eval()
    batches = list(loader_of(make))
    assert [batch.num_graphs for batch in batches] == [3, 1]
    assert torch.cat([batch.y for batch in batches]).tolist() == [0, 1, 0, 1]
    with torch.no_grad():
        together = torch.cat([model(batch) for batch in batches])
        alone = torch.cat([model(Batch.from_data_list([data])) for data in Photographs(make)])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-9)


@OF_PHOTOGRAPHS
def test_a_model_learns_photographs_from_a_loader(make, name, options):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=2, **options).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    batch, losses = next(iter(loader_of(make))), []
    for _ in range(6):
        losses.append(F.cross_entropy(model(batch), batch.y))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert losses[-1] < 0.5 * losses[0]


@OF_PHOTOGRAPHS
def test_every_tensor_of_a_batch_moves_and_is_pinned(make, name, options, monkeypatch):
    batch = next(iter(loader_of(make)))
    graphs = timm.create_model(name, num_classes=2, **options).double().eval().forward_graphs(batch)[1]
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda value, *_: pinned.append(value) or value)
    for each in (batch, graphs[0]):
        tensors = [value for _, value in each if isinstance(value, torch.Tensor)]
        assert len(tensors) >= 4
        pinned.clear()
        each.pin_memory()
        assert {id(value) for value in pinned} == {id(value) for value in tensors}
        assert all(value.is_meta for _, value in each.to("meta") if isinstance(value, torch.Tensor))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@OF_PHOTOGRAPHS
def test_pinned_photographs_get_the_same_logits_on_a_gpu(make, name, options):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=2, **options).double().eval()
    on_gpu = timm.create_model(name, num_classes=2, **options).double().eval().cuda()
    on_gpu.load_state_dict(model.state_dict())
    for batch in loader_of(make):
        assert all(value.is_pinned() for _, value in batch if isinstance(value, torch.Tensor))
        moved = batch.to("cuda", non_blocking=True)
        assert all(value.is_cuda for _, value in moved if isinstance(value, torch.Tensor))
        torch.testing.assert_close(on_gpu(moved).cpu(), model(batch.cpu()), rtol=1e-6, atol=1e-6)
