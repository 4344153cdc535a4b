"""Random graphs against definitions in float64: ``python -m tests.reliability.fuzz 20000`` counts what differs.

Every case follows from its number. One kind applies an operator to a graph: what it returns, its gradients and its
running statistics are compared with the same written edge by edge. The other searches neighbors, whose distances are
compared with those of a search through all. ``right`` is within rounding of the truth, ``wrong`` is not; ``beyond``
are cases in which the definition itself overflows in the operator's precision.
"""

from __future__ import annotations

import copy
import json
import math
import random
import sys
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric import EdgeIndex

import vig_pyg
from vig_pyg.conv import EdgeConv, GINConv, MaxRelativeConv, SAGEConv

OPERATORS = (MaxRelativeConv, EdgeConv, GINConv, SAGEConv)
ACTIVATIONS = (None, "gelu", "relu", "silu", "hard_swish", "leaky_relu", "mish", "tanh")
OUTCOMES = ("right", "beyond", "wrong", "error")
BEYOND = "the definition overflows"


# The definitions ########################################################################################


def mapped(layer: Any, rows: Tensor) -> Tensor:
    """Return ``σ(norm(rows W + b))``, a row at a time."""
    linear = layer.linear
    parts = zip(rows.chunk(linear.heads, 1), linear.weight.chunk(linear.heads), strict=True)
    return layer.act(layer.norm(torch.cat([part @ weight.T for part, weight in parts], 1) + linear.bias))


def largest(messages: Tensor, targets: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the maximum of every target's messages, 0 without any, and how far it is above the next, relatively."""
    rows, gaps = [], [messages.new_ones(())]
    for target in range(count):
        own = messages[targets == target]
        rows.append(own.amax(0) if len(own) else messages.new_zeros(messages.size(1)))
        if len(own) > 1:
            best = own.detach().topk(2, 0).values
            gaps.append(((best[0] - best[1]) / best.abs().amax(0).clamp(min=1e-300)).min())
    return torch.stack(rows), torch.stack(gaps).min()


def by_definition(conv: Any, sources: Tensor, targets: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """Return what an operator is defined to return, and the least gap between a maximum and what comes next."""
    x_j, x_i, count, no_gap = sources[edges[0]], targets[edges[1]], len(targets), torch.ones(())
    if isinstance(conv, MaxRelativeConv):
        relative, gap = largest(x_j - x_i, edges[1], count)
        return mapped(conv.nn, torch.stack([targets, relative], 2).flatten(1)), gap
    if isinstance(conv, EdgeConv):
        messages = mapped(conv.nn, torch.cat([x_i, x_j - x_i], 1)) if edges.size(1) else x_i.new_zeros(0, 1)
        out, gap = largest(messages, edges[1], count)
        return out.expand(count, conv.out_channels), gap
    if isinstance(conv, GINConv):
        total = torch.stack([x_j[edges[1] == i].sum(0) for i in range(count)])
        return mapped(conv.nn, (1 + conv.eps) * targets + total), no_gap
    messages = mapped(conv.nn1, x_j) if edges.size(1) else x_j
    pooled, gap = largest(messages, edges[1], count)
    return mapped(conv.nn2, torch.cat([targets, pooled], 1)), gap


# A case ################################################################################################


def draw_operator(chance: random.Random) -> tuple[Any, Any]:
    """Return a random operator, and the same in float64."""
    heads = chance.choice((1, 1, 2, 4))
    width, out = (heads * chance.choice((1, 2, 3, 4)) for _ in range(2))
    norms = ("batch", "batch", "layer", None) if min(width, out) > 1 else ("batch", None)  # one channel is all mean
    options = {"norm": chance.choice(norms), "act": chance.choice(ACTIVATIONS)}
    kind, seed = chance.choice(OPERATORS), chance.randrange(1 << 30)
    torch.manual_seed(seed)
    conv = kind(width, out, heads=heads, **options)
    for value in [*conv.parameters(), *conv.buffers()]:
        if value.is_floating_point():
            value.data.normal_()
    for name, value in conv.named_buffers():
        if name.endswith("running_var"):
            value.abs_().add_(0.5)
    if chance.random() < 0.5:
        conv = conv.double()
    exact = kind(width, out, heads=heads, **options).double()
    exact.load_state_dict(conv.state_dict())
    training = chance.random() < 0.5
    return conv.train(training), exact.train(training)


def draw_graph(chance: random.Random, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Return sources, targets (the same, or others) and edges between them, some twice."""
    generator = torch.Generator().manual_seed(chance.randrange(1 << 30))
    sizes = [chance.randint(2, 12), chance.randint(2, 12)]
    scale = 10 ** chance.uniform(*((-25, 30) if chance.random() < 0.3 else (-2, 2)))
    sources, targets = (scale * torch.randn(size, width, generator=generator, dtype=dtype) for size in sizes)
    if chance.random() < 0.5:
        sources = targets
    most = chance.choice((1, 6, 40))
    number = chance.randint(2, max(2, most))
    ends = [torch.randint(len(side), (number,), generator=generator) for side in (sources, targets)]
    return sources, targets, torch.stack(ends)


def as_adjacency(edges: Tensor, sizes: tuple[int, int], chance: random.Random) -> Any:
    """Return edges in one of the forms that PyG knows."""
    kind = chance.choice(("list", "sorted", "sorted", "sparse"))
    if kind == "list":
        return edges
    if kind == "sorted":
        return EdgeIndex(edges[:, edges[1].argsort(stable=True)], sparse_size=sizes, sort_order="col")
    return torch.sparse_coo_tensor(edges.flip(0), torch.ones(edges.size(1)), (sizes[1], sizes[0]))


def outcome(conv: Any, sides: list[Tensor], edges: Tensor, adjacency: Any = None) -> tuple[list[Tensor], float]:
    """Return what an operator gives, its running statistics and its gradients, and the least gap of a maximum.

    Args:
        conv: The operator.
        sides: The nodes, or sources and targets.
        edges: The edges, for the definition.
        adjacency: The same, for the operator itself.
    """
    leaves = [x.clone().requires_grad_() for x in sides]
    if adjacency is None:
        out, gap = by_definition(conv, leaves[0], leaves[-1], edges)
    else:
        out, gap = conv(leaves[0] if len(leaves) == 1 else tuple(leaves), adjacency), torch.ones(())
    along = torch.randn(out.shape, dtype=torch.double, generator=torch.Generator().manual_seed(0)).to(out.dtype)
    wanted = [*leaves, *conv.parameters()]
    gradients = torch.autograd.grad(out, wanted, along, allow_unused=True)
    known = [torch.zeros_like(x) if g is None else g for x, g in zip(wanted, gradients, strict=True)]
    return [out.detach(), *(b.detach().to(out.dtype) for b in conv.buffers()), *known], float(gap)


def operator_case(chance: random.Random) -> str | None:
    """Return what differs, or None."""
    conv, exact = draw_operator(chance)
    dtype = next(conv.parameters()).dtype
    sources, targets, edges = draw_graph(chance, conv.in_channels, dtype)
    adjacency = as_adjacency(edges, (len(sources), len(targets)), chance)
    sides = [targets] if sources is targets else [sources, targets]
    plain, variances = copy.deepcopy(conv), _least_variance(exact)
    ours, _ = outcome(conv, sides, edges, adjacency)
    truth, gap = outcome(exact, [x.double() for x in sides], edges)
    rounded, _ = outcome(plain, sides, edges)
    if not all(value.isfinite().all() for value in rounded):
        return BEYOND
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    count = 1 + len(list(conv.buffers()))
    least = 10 * torch.finfo(dtype).eps / tolerance
    rounding = _norm_rounding(conv, sides) if variances and min(variances) < least**2 else 0.0
    if gap < 10 * tolerance or rounding > tolerance:  # rounding may choose another maximum, and so another gradient
        ours, truth, rounded = ours[:count], truth[:count], rounded[:count]
    gradient = max((float(g.abs().max()) for g in truth[count:]), default=0.0)
    for place, (mine, right, near) in enumerate(zip(ours, truth, rounded, strict=True)):
        noise = float((near.double() - right).abs().max())  # of the definition, in the operator's precision
        bound = (
            tolerance * float(right.abs().max()) + 20 * noise + (tolerance * gradient if place >= count else rounding)
        )
        error = float((mine.double() - right).abs().max())
        if not error <= bound:
            what = "output" if place == 0 else "statistics" if place < count else f"gradient {place - count}"
            return f"{what} of {conv} off by {error:.3g}, allowed {bound:.3g}"
    return None


def _least_variance(exact: Any) -> list[Tensor]:
    """Return a list that the forward pass fills with the variances of what batch norms take, as shares of squares."""
    found: list[Tensor] = []

    def note(_: nn.Module, inputs: tuple[Tensor]) -> None:
        x = inputs[0].detach()
        found.append((x.var(0, correction=0) / x.square().mean(0).clamp(min=1e-300)).min())

    for layer in exact.modules():
        if isinstance(layer, nn.BatchNorm1d) and layer.training:
            layer.register_forward_pre_hook(note)
    return found


def _norm_rounding(conv: Any, sides: list[Tensor]) -> float:
    """Return by how much a batch norm enlarges the rounding of what it normalizes, where that is all alike."""
    width = max(float(weight.detach().abs().sum(1).max()) for weight in conv.parameters() if weight.dim() == 2)
    factors = [
        float(m.weight.detach().abs().max()) * m.eps**-0.5 for m in conv.modules() if isinstance(m, nn.BatchNorm1d)
    ]
    return (
        10 * torch.finfo(sides[0].dtype).eps * max(float(x.detach().abs().max()) for x in sides) * width * max(factors)
    )


def search_case(chance: random.Random) -> str | None:
    """Return what differs between the neighbors that are found and a search through all, or None."""
    generator = torch.Generator().manual_seed(chance.randrange(1 << 30))
    dtype = chance.choice((torch.float32, torch.float64))
    sizes = [chance.randint(4, 40) for _ in range(chance.randint(1, 4))]
    width, loop, cosine = chance.randint(1, 12), chance.random() < 0.7, chance.random() < 0.5
    k, dilation = chance.randint(1, min(sizes) - (not loop)), chance.randint(1, 3)
    scale = 10 ** chance.uniform(-25, 25) if chance.random() < 0.5 else 1.0
    x = scale * torch.randn(sum(sizes), width, generator=generator, dtype=dtype)
    if chance.random() < 0.2:
        x = x + 100 * scale  # far from the origin
    batch = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    found = vig_pyg.knn_graph(x, k, batch, dilation=dilation, loop=loop, cosine=cosine)
    rows = nn.functional.normalize(x.double(), dim=1, eps=0) if cosine else x.double() / scale
    first = 0
    for size in sizes:
        own = rows[first : first + size]
        distances = (own[:, None] - own).square().sum(2)
        if not loop:
            distances.fill_diagonal_(math.inf)
        step = min(dilation, (size - (not loop)) // k)
        truth = distances.sort(1).values[:, : k * step : step]
        neighbors = found[0].view(-1, k)[first : first + size] - first
        if int(neighbors.min()) < 0 or int(neighbors.max()) >= size:
            return f"a neighbor in another graph, sizes {sizes}"
        if any(len(set(row)) < k for row in neighbors.tolist()):
            return f"a neighbor twice, sizes {sizes}, k {k}"
        spread = float((own - own.mean(0)).square().sum(1).max())
        if cosine:
            spread = 1.0
        bound = (1e-12 if dtype == torch.float64 else 2e-5) * spread + 1e-5 * truth
        if ((distances.gather(1, neighbors) - truth).abs() > bound).any():
            return f"neighbors of {dtype}, width {width}, scale {scale:.2g}, cosine {cosine}, loop {loop}"
        first += size
    return None


def campaign(cases: int, first: int = 0) -> tuple[dict[str, int], list[str]]:
    """Try so many cases; return how often each outcome came, and in words the cases that went wrong."""
    counts, wrong = Counter(dict.fromkeys(OUTCOMES, 0)), []
    for number in range(first, first + cases):
        chance = random.Random(number)
        try:
            difference = search_case(chance) if number % 4 == 0 else operator_case(chance)
            found = {None: "right", BEYOND: "beyond"}.get(difference, "wrong")
        except Exception as error:
            found, difference = "error", repr(error)
        counts[found] += 1
        if found in ("wrong", "error"):
            wrong.append(f"{found}: case {number}: {difference}")
    return {"tried": cases, **counts}, wrong


if __name__ == "__main__":
    counted, failures = campaign(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
    sys.stdout.write("\n".join([json.dumps(counted), *failures]) + "\n")
