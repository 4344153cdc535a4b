"""The inverted residual is its formula, written with torch's convolutions of maps."""

import copy

import pytest
import torch
import torch.nn.functional as F

from vig_pyg.blocks import InvertedResidual
from vig_pyg.graph.layout import NodeLayout, maps_of, nodes_of

LAYOUT = NodeLayout.from_sizes([(5, 4), (5, 4), (3, 6)])


def randomized(module):
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.2)
    return module.double()


def normalized(x, norm):
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)


def defined(layer, x):
    """Return the new nodes of ``x``, image by image."""
    conv, out = layer.depthwise.conv, []
    for image in maps_of(x, LAYOUT):
        wide = F.conv2d(image, layer.fc1.linear.weight[:, :, None, None], layer.fc1.linear.bias)
        wide = F.gelu(normalized(wide, layer.fc1.norm))
        mixed = F.conv2d(wide, conv.weight, conv.bias, padding=1, groups=wide.size(1))
        mixed = F.gelu(normalized(mixed, layer.depthwise.norm))
        narrow = F.conv2d(mixed, layer.fc2.linear.weight[:, :, None, None], layer.fc2.linear.bias)
        narrow = normalized(narrow, layer.fc2.norm)
        out.append(image + layer.layer_scale.gamma[:, None, None] * narrow)
    return nodes_of(out)[0]


def test_it_equals_the_formula():
    layer = randomized(InvertedResidual(6)).eval()
    x = torch.randn(LAYOUT.num_nodes, 6, dtype=torch.float64)
    out, layout, edges = layer(x, LAYOUT, None)
    torch.testing.assert_close(out, defined(layer, x))
    assert layout is LAYOUT and edges is None
    folded = copy.deepcopy(layer)
    for part in (folded.fc1, folded.depthwise, folded):  # the last map's norm and the scale together
        part.reparameterize()
    assert sum(isinstance(part, torch.nn.BatchNorm1d) for part in folded.modules()) == 0
    assert isinstance(folded.layer_scale, torch.nn.Identity)
    torch.testing.assert_close(folded(x, LAYOUT)[0], out)


def test_a_dropped_branch_leaves_the_nodes_and_what_does_not_fit_is_refused():
    x = torch.randn(LAYOUT.num_nodes, 6)
    assert torch.equal(InvertedResidual(6, drop_path=1.0).train()(x, LAYOUT)[0], x)
    assert InvertedResidual(6, ratio=3).fc1.linear.weight.shape == (18, 6)
    for options, message in (({"ratio": 0}, "ratio must be at least 1, got 0"), ({"drop_path": 2}, "drop_path")):
        with pytest.raises(ValueError, match=message):
            InvertedResidual(6, **options)
