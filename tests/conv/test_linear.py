import pytest
import torch
from torch import nn

from vig_pyg.conv import GroupedLinear, LinearNormAct, build_act, build_norm


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_a_linear_map_in_heads_is_a_convolution_in_groups(heads):
    layer, x = GroupedLinear(8, 12, heads), normal(5, 8)
    nn.init.normal_(layer.bias)
    grouped = nn.functional.conv2d(x.view(5, 8, 1, 1), layer.weight.view(12, -1, 1, 1), layer.bias, groups=heads)
    torch.testing.assert_close(layer(x), grouped.view(5, 12))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_a_linear_map_of_no_nodes_is_empty(heads):
    assert GroupedLinear(8, 12, heads)(torch.empty(0, 8)).shape == (0, 12)


@pytest.mark.parametrize("heads", [1, 4])
def test_a_linear_map_takes_nodes_that_are_a_transposed_view(heads):
    layer, x = GroupedLinear(8, 12, heads), normal(8, 5).T
    torch.testing.assert_close(layer(x), layer(x.contiguous()))


@pytest.mark.parametrize("heads", [0, -1])
def test_heads_below_one_are_refused(heads):
    with pytest.raises(ValueError, match=f"^heads must be at least 1, got {heads}$"):
        GroupedLinear(8, 12, heads)


@pytest.mark.parametrize("heads", [3, 8, 12])
def test_heads_that_do_not_divide_the_channels_are_refused(heads):
    sentence = f"^heads={heads} must divide 8 input and 12 output channels$"
    sentence = sentence if heads > 0 else f"^heads must be at least 1, got {heads}$"
    with pytest.raises(ValueError, match=sentence):
        GroupedLinear(8, 12, heads)


def test_weights_start_kaiming_normal_and_biases_at_zero():
    torch.manual_seed(0)
    layer = GroupedLinear(256, 512, 4)
    assert layer.weight.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.02)
    assert not layer.bias.any()


@pytest.mark.parametrize(
    ("norm", "kind"),
    [("batch", nn.BatchNorm1d), ("layer", nn.LayerNorm), (None, nn.Identity), (nn.RMSNorm, nn.RMSNorm)],
)
def test_a_norm_is_a_name_a_factory_or_nothing(norm, kind):
    module = build_norm(norm, 6)
    assert isinstance(module, kind)
    assert module(normal(4, 6)).shape == (4, 6)


@pytest.mark.parametrize(
    ("act", "function"),
    [
        ("gelu", nn.functional.gelu),
        ("relu", torch.relu),
        ("silu", nn.functional.silu),
        (None, lambda x: x),
        (nn.Tanh, torch.tanh),
    ],
)
def test_an_activation_is_a_name_a_factory_or_nothing(act, function):
    x = normal(4, 6)
    torch.testing.assert_close(build_act(act)(x), function(x))


def test_an_unknown_norm_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"^norm must be one of batch, layer, got 'instance'$"):
        build_norm("instance", 4)


def test_an_unknown_activation_is_refused_with_some_that_exist():
    with pytest.raises(ValueError, match=r"called 'gello'; try gelu, relu, silu or hard_swish$"):
        build_act("gello")


def test_a_linear_norm_act_is_the_three_in_turn():
    layer, x = LinearNormAct(8, 12, 2, "batch", "relu"), normal(5, 8)
    mapped = layer.linear(x)
    normed = (mapped - mapped.mean(0)) / (mapped.var(0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(layer(x), normed.relu())


@pytest.mark.parametrize("norm", ["batch", "layer", None])
def test_reset_parameters_draws_new_weights(norm):
    layer = LinearNormAct(8, 12, 2, norm)
    layer(normal(5, 8))
    before = layer.linear.weight.clone()
    layer.reset_parameters()
    assert not torch.equal(layer.linear.weight, before)
    if norm == "batch":
        assert not layer.norm.running_mean.any()


@pytest.mark.parametrize("heads", [1, 2])
def test_a_layer_learns_as_a_grouped_convolution_norm_and_activation_do(heads):
    torch.manual_seed(0)
    layer = LinearNormAct(6, 8, heads, act="gelu").double()
    definition = nn.Sequential(nn.Conv1d(6, 8, 1, groups=heads), nn.BatchNorm1d(8), nn.GELU()).double()
    nn.init.normal_(layer.linear.bias)
    definition[0].weight.data.copy_(layer.linear.weight.unsqueeze(2))
    definition[0].bias.data.copy_(layer.linear.bias)
    for _ in range(3):
        x = torch.randn(20, 6, dtype=torch.float64)
        torch.testing.assert_close(layer(x), definition(x.unsqueeze(2)).squeeze(2))
    torch.testing.assert_close(layer.norm.state_dict(), definition[1].state_dict())
    torch.testing.assert_close(layer.eval()(x), definition.eval()(x.unsqueeze(2)).squeeze(2))
    layer.train()(x).sin().sum().backward()
    definition.train()(x.unsqueeze(2)).sin().sum().backward()
    for ours, theirs in zip(layer.parameters(), definition.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad.view_as(ours), atol=1e-12, rtol=1e-9)


def test_two_batches_pass_before_their_gradients():
    layer = LinearNormAct(6, 8)
    (layer(torch.randn(9, 6)).sin().sum() + layer(torch.randn(9, 6)).cos().sum()).backward()
    assert layer.linear.weight.grad.isfinite().all()
