"""Graphs of several sizes as dense tensors, for what is computed with products of matrices."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vig_pyg.graph.checks import check_matrix
from vig_pyg.graph.points import Layout, PointLayout, as_layout
from vig_pyg.graph.protocol import Layouts, Nodes

Sizes = list[int]


class Part(NamedTuple):
    """A few graphs of a batch: the nodes that choose, and those that they choose from."""

    targets: Tensor
    """``[B, N, C]``, zeros where a graph has fewer nodes than the largest."""
    is_target: Tensor
    """Which are nodes, ``[B, N]``."""
    sources: Tensor
    """``[B, M, C]``; the same as ``targets`` where nodes choose among themselves."""
    is_source: Tensor
    """``[B, M]``."""
    first: Tensor
    """The row of every graph's first source in the matrix of all, ``[B]``."""


def sides(x: Nodes | Tensor, layout: Layouts | Tensor | None) -> tuple[Tensor, Layout, Tensor, Layout]:
    """Return sources and targets, each with its layout, of what a graph whose degree varies is called with.

    Raises:
        TypeError, ValueError: they are no node matrices, do not fit their layouts, or not each other; or a model is
            exported, whose shapes must be known.
    """
    if torch.compiler.is_exporting():
        raise ValueError("how many edges this graph has depends on the image, so it cannot be exported: take 'knn'")
    sources, targets = x if isinstance(x, tuple) else (x, x)
    check_matrix("x", targets)
    check_matrix("the matrix of sources", sources)
    source_layout, target_layout = layout if isinstance(layout, tuple) else (layout, layout)
    own = as_layout(target_layout, targets)
    others = own if source_layout is target_layout and sources is targets else as_layout(source_layout, sources)
    if others.num_graphs != own.num_graphs:
        raise ValueError(f"sources are in {others.num_graphs} graphs, but targets in {own.num_graphs}")
    if own.num_graphs == 0:
        raise ValueError("the layout holds no images: give at least one")
    kinds = [f"{nodes.size(1)} channels of {nodes.dtype} on {nodes.device}" for nodes in (sources, targets)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"sources and targets must be alike, got {kinds[0]} and {kinds[1]}")
    return sources, others, targets, own


def directions(x: Tensor) -> Tensor:
    """Return every row at length one, in float32 at least, with its gradient.

    One that is not finite has no direction and is zero: it links somewhere, and not past the end.
    """
    return F.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=1).nan_to_num()


def parts(sources: Tensor, source_layout: Layout, targets: Tensor, layout: Layout) -> Iterator[Part]:
    """Yield the graphs of a batch in their order, as many at once as filling up does not double.

    Nodes that choose among themselves are given twice, as the same tensor.
    """
    sizes, sizes_y = sizes_of(source_layout), sizes_of(layout)
    first = source_layout.ptr(sources.device)[:-1]
    runs = list(_runs(sizes, sizes_y))
    lengths, lengths_y = ([sum(counts[run]) for run in runs] for counts in (sizes, sizes_y))
    for run, keys, queries in zip(runs, sources.split(lengths), targets.split(lengths_y), strict=True):
        offered, is_source = _padded(keys, sizes[run])
        asking, is_target = (offered, is_source) if targets is sources else _padded(queries, sizes_y[run])
        yield Part(asking, is_target, offered, is_source, first[run])


def sizes_of(layout: Layout) -> Sizes:
    """Return how many nodes every graph has."""
    return layout.counts if isinstance(layout, PointLayout) else [height * width for height, width in layout.sizes]


def _runs(*sizes: Sizes) -> Iterator[slice]:
    """Yield runs of graphs that, filled up to the largest of a run, have at most twice as many nodes."""
    start, most, total = 0, [0] * len(sizes), [0] * len(sizes)
    for graph, counts in enumerate(zip(*sizes, strict=True)):
        grown = [max(pair) for pair in zip(most, counts, strict=True)]
        added = [old + new for old, new in zip(total, counts, strict=True)]
        if any((graph + 1 - start) * large > 2 * all_of for large, all_of in zip(grown, added, strict=True)):
            yield slice(start, graph)
            start, grown, added = graph, list(counts), list(counts)
        most, total = grown, added
    yield slice(start, len(sizes[0]))


def _padded(x: Tensor, sizes: Sizes) -> tuple[Tensor, Tensor]:
    """Return nodes ``[B, N, C]``, zeros after a graph's last, and which are nodes, ``[B, N]``."""
    is_node = torch.arange(max(sizes), device=x.device) < torch.tensor(sizes, device=x.device).unsqueeze(1)
    if min(sizes) == max(sizes):
        return x.view(len(sizes), sizes[0], -1), is_node
    return pad_sequence(list(x.split(sizes)), batch_first=True), is_node
