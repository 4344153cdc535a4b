"""Statistics over edges, taken over nodes, are as exact as edge by edge."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vig_pyg
from tests.conv.passed import graph, normal, outcome
from vig_pyg.conv import EdgeConv, SAGEConv
from vig_pyg.conv.edge_statistics import degrees, is_quasiconvex, statistics_of_sums

EPS = torch.finfo(torch.float32).eps


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    operator=st.sampled_from([EdgeConv, SAGEConv]),
    heads=st.sampled_from([1, 2, 4]),
    spread=st.floats(-6, 0),
    seed=st.integers(0, 99),
)
def test_neighbors_much_closer_than_the_spread_of_all_nodes(operator, heads, spread, seed):
    centers = 4 * normal(24, 16, seed=seed)
    x = centers.repeat_interleave(8, 0) + 10**spread * normal(192, 16, seed=seed + 1)
    edges = vig_pyg.knn_graph(x, 5, loop=True)
    torch.manual_seed(seed)
    conv, exact = operator(16, 32, heads=heads, norm="batch"), operator(16, 32, heads=heads, norm="batch").double()
    exact.load_state_dict(conv.state_dict())
    out, expected = conv(x, edges), exact(x.double(), edges.as_tensor())
    # Mapped features are rounded once, where the differences of features are exact edge by edge; the norm then
    # multiplies them by up to 1 / sqrt(1e-5).
    widest = max(weight.detach().abs().sum(1).max() for weight in conv.parameters() if weight.dim() == 2)
    mapped = float(x.abs().max() * widest)
    torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=EPS * mapped * 1e-5**-0.5)
    for (name, ours), theirs in zip(conv.named_buffers(), exact.buffers(), strict=True):
        torch.testing.assert_close(
            ours.double(), theirs.double(), rtol=1e-4, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}"
        )


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    operator=st.sampled_from([EdgeConv, SAGEConv]),
    heads=st.sampled_from([1, 2, 4]),
    spread=st.floats(-6, 0),
    seed=st.integers(0, 99),
)
def test_the_gradient_of_the_statistics_there(operator, heads, spread, seed):
    x = (4 * normal(24, 16, seed=seed)).repeat_interleave(8, 0) + 10**spread * normal(192, 16, seed=seed + 1)
    # One neighbor each, so that rounding cannot change who wins: the next of the same center.
    edges = vig_pyg.graph.edges_from_neighbors((torch.arange(192).view(24, 8).roll(1, 1)).reshape(-1, 1), 192)
    torch.manual_seed(seed)
    conv, exact = operator(16, 32, heads=heads, norm="batch"), operator(16, 32, heads=heads, norm="batch").double()
    exact.load_state_dict(conv.state_dict())
    _, *gradients = outcome(conv, x, edges)
    _, *expected = outcome(exact, x.double(), edges.as_tensor())
    for ours, theirs in zip(gradients, expected, strict=True):
        # Rounded activations move the gradient by as much as they move themselves: see above.
        assert (ours - theirs).abs().max() <= 5e-3 * theirs.abs().max() + 1e-2


@pytest.mark.parametrize("heads", [1, 2])
def test_values_of_1e30_do_not_overflow_the_statistics(heads):
    x, edges = graph()
    conv = SAGEConv(8, 8, heads=heads, norm="batch", act="gelu")
    out = conv(x * 1e18, edges)
    exact = SAGEConv(8, 8, heads=heads, norm="batch", act="gelu").double()
    exact.load_state_dict(conv.state_dict() | {n: b for n, b in exact.state_dict().items() if "running" in n})
    torch.testing.assert_close(out.double(), exact(x.double() * 1e18, edges.as_tensor()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("operator", [EdgeConv, SAGEConv])
@pytest.mark.parametrize("scale", [1e-30, 1e15, 1e30])
def test_statistics_over_edges_at_any_magnitude(operator, scale):
    torch.manual_seed(0)
    conv, exact = operator(8, 12, norm="batch", act="gelu"), operator(8, 12, norm="batch", act="gelu").double()
    exact.load_state_dict(conv.state_dict())
    x, edges = graph()
    x = x * scale
    messages, pairs = conv.nn if operator is EdgeConv else conv.nn1, edges.as_tensor()
    layer = exact.nn if operator is EdgeConv else exact.nn1
    source, target = x.double()[pairs[0]], x.double()[pairs[1]]
    expected = layer(torch.cat([target, source - target], 1) if operator is EdgeConv else source)
    largest = expected.new_zeros(40, expected.size(1)).scatter_reduce(
        0, pairs[1, :, None].expand_as(expected), expected, "amax", include_self=False
    )
    out = conv.propagate(
        edges, x=(x, x), size=(40, 40), **{"edge_attr" if operator is EdgeConv else "edge_weight": None}
    )
    torch.testing.assert_close(out.double(), largest, rtol=1e-4, atol=1e-4)
    for name in ("running_mean", "running_var"):
        ours, theirs = getattr(messages.norm, name), getattr(layer.norm, name)
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-4, atol=1e-6)


def test_the_statistics_of_sums_are_those_of_all_edges():
    u, v = normal(5, 3, seed=1).double(), normal(6, 3, seed=2).double()
    ptr, index = torch.tensor([0, 2, 2, 5, 6, 8]), torch.tensor([0, 3, 3, 3, 5, 1, 4, 0])
    edges = u[torch.arange(5).repeat_interleave(ptr.diff())] + v[index]
    mean, variance = statistics_of_sums(u, v, ptr, index, *degrees(ptr, index, 6))
    torch.testing.assert_close(mean, edges.mean(0))
    torch.testing.assert_close(variance, edges.var(0, correction=0))


@pytest.mark.parametrize(
    "act", [torch.nn.GELU(), torch.nn.ReLU(), torch.nn.SiLU(), torch.nn.Mish(), torch.nn.Hardswish()]
)
def test_a_quasiconvex_activation_is_largest_at_an_end_of_any_interval(act):
    assert is_quasiconvex(act) and not is_quasiconvex(torch.nn.Tanhshrink())
    steps = act(torch.linspace(-6, 6, 2001, dtype=torch.float64)).diff()
    has_risen = (steps > 1e-12).cumsum(0) > 0  # rounding aside
    assert not (steps[has_risen] < -1e-12).any()
