import math

import numpy as np
import pytest
import timm
import torch
from scipy.optimize import differential_evolution
from torch import nn

from vig_pyg.blocks import FFN
from vig_pyg.graph import NodeLayout
from vig_pyg.study import diversity, layer_diversity


def norm(x: np.ndarray) -> float:
    """The norm of Dong et al., written out."""
    columns = max(sum(abs(x[i, d]) for i in range(x.shape[0])) for d in range(x.shape[1]))
    rows = max(sum(abs(x[i, d]) for d in range(x.shape[1])) for i in range(x.shape[0]))
    return (columns * rows) ** 0.5


@pytest.mark.parametrize(("nodes", "channels", "seed"), [(6, 3, 0), (9, 2, 1), (3, 4, 2)])
def test_no_search_finds_a_smaller_norm(nodes: int, channels: int, seed: int) -> None:
    x = np.random.RandomState(seed).standard_normal((nodes, channels)) * [1, 5, 1, 0.2][:channels]
    bounds = [(column.min(), column.max()) for column in x.T]
    searched = differential_evolution(lambda center: norm(x - center), bounds, rng=0, tol=1e-12, maxiter=2000)
    assert diversity(x, 1e-7) == pytest.approx(searched.fun, rel=1e-5)


def test_one_channel_has_a_closed_form() -> None:
    # For 0, 0, 0, 4 about c in [0, 2] the sums are 4 + 2c and 4 − c; their product is largest inside, 16 at both ends.
    assert diversity(torch.tensor([[0.0], [0.0], [0.0], [4.0]]), 1e-8) == pytest.approx(4)


def test_equal_nodes_have_none_and_it_scales_and_ignores_shifts() -> None:
    x = torch.randn(20, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    value = diversity(x, 1e-6)
    assert diversity(torch.ones(5, 1) @ torch.randn(1, 8)) == 0
    assert diversity(3 * x, 1e-6) == pytest.approx(3 * value, rel=1e-5)
    assert diversity(x + torch.arange(8), 1e-6) == pytest.approx(value, rel=1e-5)
    assert value <= norm(x.numpy() - np.median(x.numpy(), axis=0)) * (1 + 1e-9)


def test_what_is_no_matrix_is_refused() -> None:
    for x in (torch.zeros(3), torch.zeros(0, 3), torch.full((2, 2), float("nan"))):
        with pytest.raises(ValueError, match="a matrix"):
            diversity(x)


def test_theorem_1_an_ffn_stretches_diversity_by_at_most_its_lipschitz_constant() -> None:
    # For the row sum (p = 1 along channels, the largest over nodes); the minimiser is found by the same program.
    from vig_pyg.study.diversity import _least_row_sum

    torch.manual_seed(0)
    ffn, layout = FFN(6).double().eval(), NodeLayout.uniform(1, 5, 4)
    for norm_layer in (ffn.fc1.norm, ffn.fc2.norm):
        nn.init.uniform_(norm_layer.weight, 0.5, 2)
        norm_layer.running_mean.normal_()
        norm_layer.running_var.uniform_(0.5, 2)
    weights = []
    for layer in (ffn.fc1, ffn.fc2):
        affine = nn.Sequential(layer.linear, layer.norm)
        weights.append(layer_matrix(affine, layer.linear.weight.size(1)))
    # A row's sum grows by at most the largest absolute row sum of each matrix, and by GELU's largest slope, which is at
    # √2: Φ(√2) + √2·φ(√2). The residual adds 1.
    slope = (1 + math.erf(1)) / 2 + math.exp(-1) / math.sqrt(math.pi)
    constant = 1 + slope * weights[0].abs().sum(1).max() * weights[1].abs().sum(1).max()
    for scale in (0.01, 1.0, 100.0):
        x = scale * torch.randn(20, 6, dtype=torch.float64)
        with torch.no_grad():
            after = ffn(x, layout)
        spread = [_least_row_sum(rows.numpy(), np.inf)[0] for rows in (x, after)]
        assert 0 < spread[1] <= float(constant) * spread[0]
        constant_rows = ffn(x[:1].expand(20, -1), layout).detach()
        assert diversity(constant_rows) == pytest.approx(0, abs=1e-9)


def layer_matrix(layer, width: int) -> torch.Tensor:
    """The matrix ``[in, out]`` of an affine map."""
    with torch.no_grad():
        return layer(torch.eye(width, dtype=torch.float64)) - layer(torch.zeros(1, width, dtype=torch.float64))


def test_layers_of_our_models_are_their_blocks() -> None:
    model = timm.create_model("vig_micro", depth=2).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        _, graphs = model.forward_graphs(images)
    found = layer_diversity(model, images)
    assert found.shape == (2, 2)
    assert found[1, 0].item() == pytest.approx(diversity(graphs[1][0].x), rel=1e-6)


def test_layers_of_any_model_can_be_named() -> None:
    images = torch.randn(2, 3, 8, 8)
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(2))
    found = layer_diversity(model, images, [model[0]])
    with torch.no_grad():
        nodes = model[0](images)[1].flatten(1).T
    assert found.shape == (1, 2) and found[0, 1].item() == pytest.approx(diversity(nodes), rel=1e-6)
    with pytest.raises(ValueError, match="no model of this library"):
        layer_diversity(model, images)
    with pytest.raises(ValueError, match="must return nodes"):
        flat = nn.Sequential(nn.Flatten())
        layer_diversity(flat, images, [flat[0]])
