"""What every graph of neighbors searches with: features made comparable, and the best backend for them."""

import logging
from importlib.util import find_spec
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from vig_pyg.graph.checks import Backend
from vig_pyg.kernels import nearest_blockwise, nearest_cluster, nearest_dense, nearest_fused, nearest_kdtree
from vig_pyg.kernels.bias import Bias
from vig_pyg.kernels.linear import LARGE
from vig_pyg.kernels.torch_internals import may_call_onednn

log = logging.getLogger(__name__)

# Trees win up to this many channels, from this many distances on: benchmarks/results/large-cpu.json.
FEW_CHANNELS = 4
MANY_PAIRS = 1 << 19
TREES = {"kdtree": ("scipy", nearest_kdtree), "torch_cluster": ("torch_cluster", nearest_cluster)}  # the first first


def choose_backend(num_queries: int, num_keys: int, channels: int, device: torch.device | str = "cpu") -> Backend:
    """Return the backend that ``"auto"`` takes for one graph.

    Trees find neighbors fastest among many points in few dimensions, matrix products in many. These go block by block
    beyond 2²⁴ distances, and on the CPU already where a product is worth a call: then distances stay in the cache.
    Compiled and traced code, in which a loop is unrolled, takes the former limit and no trees.
    """
    pairs = num_queries * num_keys
    on_cpu = torch.device(device).type == "cpu"
    as_written = not (torch.compiler.is_compiling() or torch.jit.is_tracing())
    if on_cpu and as_written and channels <= FEW_CHANNELS and pairs >= MANY_PAIRS:
        for tree, (package, _) in TREES.items():
            if find_spec(package) is not None:
                return cast(Backend, tree)
    in_cache = on_cpu and may_call_onednn() and pairs * channels >= LARGE
    return "blockwise" if in_cache or pairs > 1 << 24 else "dense"


def nearest(
    queries: Tensor,
    keys: Tensor,
    k: int,
    dilation: int,
    *,
    unit: bool,
    channels: int,
    loop: bool = True,
    bias: Bias | None = None,
    epsilon: float = 0.0,
    backend: Backend = "auto",
    num_workers: int = 1,
) -> Tensor:
    """Return the dilated neighbors of ``queries [B, N, C + P]`` among ``keys [B, M, C + P]`` as ``[B, N, k]``.

    The first ``channels`` are features, compared by distance, the rest positions, compared by inner product.
    ``unit`` says that all features have length one, ``bias`` is added to the inner products, and ``epsilon`` is the
    probability of drawing ``k`` of the ``k·dilation`` nearest at random. Trees take ``num_workers``.
    """
    dilation = min(dilation, (keys.size(1) - int(not loop)) // k)
    positions = bias is not None or keys.size(2) > channels
    if backend == "auto":
        backend = choose_backend(queries.size(1), keys.size(1), keys.size(2), keys.device)
        if positions and backend in TREES:
            backend = "blockwise"
        if not torch.compiler.is_compiling():
            log.debug("auto: %s for %d × %d nodes", backend, queries.size(1), keys.size(1))
    if backend in TREES:
        if positions:
            raise ValueError(f"backend={backend!r} cannot add positions: use 'dense' or 'blockwise'")
        found = TREES[backend][1](queries, keys, k * dilation, loop=loop, num_workers=num_workers)
    else:
        if not unit:
            queries = torch.cat([queries, queries.new_ones(()).expand(*queries.shape[:2], 1)], 2)
            keys = torch.cat([keys, -keys[..., :channels].square().sum(2, keepdim=True) / 2], 2)
        device_type = "cpu" if keys.is_meta else keys.device.type
        with torch.autocast(device_type, enabled=False):  # half precision would change neighbors
            if backend == "fused":
                found = nearest_fused(queries, keys, k * dilation, bias=bias, loop=loop)
            elif backend == "blockwise":
                found = nearest_blockwise(queries, keys, k * dilation, bias=bias, loop=loop)
            else:
                found = nearest_dense(queries, keys, k * dilation, bias=bias, loop=loop)
    if epsilon == 0:
        return found[..., ::dilation]
    at_random = torch.rand((), device=found.device) < epsilon  # a tensor: nothing waits, and it compiles
    places = torch.arange(0, k * dilation, dilation, device=found.device)
    drawn = torch.randperm(k * dilation, device=found.device)[:k]
    return found.index_select(2, torch.where(at_random, drawn, places))


def unit_length(x: Tensor) -> Tensor:
    """Return every row at length one, in float32 at least."""
    return F.normalize(at_least_float32(x), dim=1)


def at_least_float32(x: Tensor) -> Tensor:
    """Return features without gradient and not in half precision."""
    return x.detach().float() if x.dtype in (torch.float16, torch.bfloat16) else x.detach()


def of_usual_size(x: Tensor) -> Tensor:
    """Scale every row so that its length neither overflows nor vanishes; rows of zeros stay."""
    x = at_least_float32(x)
    return x * _to_about_one(x.abs().amax(1, keepdim=True))


def _to_about_one(largest: Tensor) -> Tensor:
    """Return powers of two, which round nothing, that bring ``largest`` near one as far as its type allows."""
    limit = 1000 if largest.dtype == torch.float64 else 120
    return torch.ldexp(torch.ones_like(largest), -largest.frexp().exponent.clamp(-limit, limit))


def scaled_and_centered(
    keys: Tensor, queries: Tensor, channels: int, sizes: list[int], sizes_y: list[int]
) -> tuple[Tensor, Tensor]:
    """Scale every graph to values about one, then move its first ``channels`` to their mean.

    The order of distances stays, squares neither overflow nor vanish, and points far from the origin keep their
    precision.
    """
    of_graph, of_graph_y = (torch.tensor(s, device=keys.device) for s in (sizes, sizes_y))
    largest = keys.new_zeros(len(sizes))
    for values, lengths in ((keys, of_graph), (queries, of_graph_y)):
        peaks = torch.segment_reduce(values.abs().amax(1), "max", lengths=lengths, initial=0.0)
        largest = torch.maximum(largest, peaks)
    scale = _to_about_one(largest).unsqueeze(1)
    keys = keys * scale.repeat_interleave(of_graph, 0, output_size=len(keys))
    queries = queries * scale.repeat_interleave(of_graph_y, 0, output_size=len(queries))
    if channels:
        mean = torch.segment_reduce(keys[:, :channels].contiguous(), "mean", lengths=of_graph, initial=0.0)
        keys[:, :channels] -= mean.repeat_interleave(of_graph, 0, output_size=len(keys))
        queries[:, :channels] -= mean.repeat_interleave(of_graph_y, 0, output_size=len(queries))
    return keys, queries
