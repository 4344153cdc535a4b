"""The stem equals torch's layers for maps, and keeps images of several sizes apart."""

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn

from vig_pyg.blocks import ConvStem, Downsample, GridConvNormAct, PatchStem, build_stem
from vig_pyg.graph.layout import maps_of, nodes_of


def as_map(x, layout):
    return maps_of(x, layout)[0]


def map_norm(norm):
    """A batch norm on maps with the weights and statistics of one on nodes."""
    other = nn.BatchNorm2d(norm.num_features).to(norm.weight.dtype)
    other.load_state_dict(norm.state_dict())
    return other.train(norm.training)


def on_maps(stem):
    """The same stem built from torch's layers for maps."""
    layers = []
    for layer in stem:
        layers += [copy.deepcopy(layer.conv), map_norm(layer.norm), copy.deepcopy(layer.act)]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("stride", "size"), [(2, (8, 8)), (4, (13, 9)), (16, (35, 50)), (16, (32, 64))])
def test_the_stem_equals_layers_on_maps(stride, size, training):
    torch.manual_seed(0)
    stem = ConvStem(3, 16, stride).double().train(training)
    reference = on_maps(stem)
    images = torch.randn(2, 3, *size, dtype=torch.float64)
    out, layout = stem(*nodes_of([images]))
    torch.testing.assert_close(as_map(out, layout), reference(images))
    assert layout.sizes == [stem.grid(*size)] * 2
    for ours, theirs in zip(stem, reference[1::3], strict=True):
        torch.testing.assert_close(ours.norm.running_mean, theirs.running_mean)
        torch.testing.assert_close(ours.norm.running_var, theirs.running_var)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(6, 6), (7, 5), (1, 1)])
def test_downsampling_equals_layers_on_maps(size, training):
    layer = Downsample(4, 8).double().train(training)
    maps = torch.randn(3, 4, *size, dtype=torch.float64)
    reference = nn.Sequential(copy.deepcopy(layer.conv), map_norm(layer.norm))
    out, layout, edges = layer(*nodes_of([maps]))
    torch.testing.assert_close(as_map(out, layout), reference(maps))
    assert edges is None
    assert layout.sizes == [(-(-size[0] // 2), -(-size[1] // 2))] * 3


@pytest.mark.parametrize("stem", [ConvStem(3, 8, 4), PatchStem(3, 8, 4)])
def test_images_of_several_sizes_are_kept_apart(stem):
    stem = copy.deepcopy(stem).double().eval()
    images = [torch.randn(1, 3, *size, dtype=torch.float64) for size in [(8, 8), (5, 12), (9, 4)]]
    out, layout = stem(*nodes_of(images))
    alone = [stem(*nodes_of([image])) for image in images]
    torch.testing.assert_close(out, torch.cat([x for x, _ in alone]))
    assert layout.sizes == [size for _, own in alone for size in own.sizes]


def test_the_norm_takes_its_statistics_over_all_images():
    layer = GridConvNormAct(3, 8).double().train()
    maps = layer([torch.randn(1, 3, *size, dtype=torch.float64) for size in [(8, 8), (5, 12)]])
    out, _ = nodes_of(maps)
    torch.testing.assert_close(out.mean(0), torch.zeros(8, dtype=torch.float64))
    torch.testing.assert_close(out.std(0, correction=0), torch.ones(8, dtype=torch.float64), rtol=1e-3, atol=0)


def test_between_its_layers_is_one_map_that_is_not_copied():
    stem, seen = ConvStem(3, 16, 8).eval(), []
    for layer in stem:
        layer.register_forward_hook(lambda layer, inputs, out: seen.append((inputs[0], out)))
    with torch.no_grad():
        out, _ = stem(*nodes_of([torch.randn(2, 3, 32, 32)]))
    for (_, made), (taken, _) in pairwise(seen):
        assert made is taken and made.is_contiguous(memory_format=torch.channels_last)
    assert out.data_ptr() == seen[-1][1].data_ptr()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(16, 16), (17, 23)])
def test_the_patch_stem_is_a_convolution_as_wide_as_its_stride(size, training):
    stem = PatchStem(3, 8, 4).double().train(training)
    images = torch.randn(2, 3, *size, dtype=torch.float64)
    reference = nn.Sequential(copy.deepcopy(stem.conv), map_norm(stem.norm))
    out, layout = stem(*nodes_of([images]))
    torch.testing.assert_close(as_map(out, layout), reference(images))
    assert layout.sizes == [stem.grid(*size)] * 2


def test_widths_double_up_to_the_last():
    stem = ConvStem(3, 48, 16)
    assert [layer.conv.weight.shape[:2] for layer in stem] == [(6, 3), (12, 6), (24, 12), (48, 24), (48, 48)]
    assert [layer.conv.stride[0] for layer in stem] == [2, 2, 2, 2, 1]
    assert [type(layer.act) is nn.Identity for layer in stem] == [False] * 4 + [True]


@pytest.mark.parametrize("stride", [0, 1, 3, 12])
def test_a_stride_that_is_no_power_of_two_is_refused(stride):
    with pytest.raises(ValueError, match=f"power of two, at least 2, got {stride}"):
        ConvStem(3, 48, stride)


def test_a_width_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match="stride 16 needs a multiple of 8 channels, got 20"):
        ConvStem(3, 20, 16)


def test_the_stem_is_chosen_by_name():
    assert isinstance(build_stem("conv", 3, 16, 4, "batch", "gelu"), ConvStem)
    assert isinstance(build_stem("patch", 3, 16, 4, "batch", "gelu"), PatchStem)
    with pytest.raises(ValueError, match="stem must be 'conv', 'patch' or 'nodes', got 'pathc'"):
        build_stem("pathc", 3, 16, 4, "batch", "gelu")
