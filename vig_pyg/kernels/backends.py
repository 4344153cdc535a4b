"""Which library reduces neighborhoods."""

from importlib.util import find_spec
from typing import Literal, get_args

import torch
from torch import Tensor
from torch_geometric.typing import WITH_TORCH_SCATTER

Reduction = Literal["auto", "native", "triton", "torch_scatter"]
REDUCTIONS = get_args(Reduction)
Kind = Literal["extremum", "sum", "softmax"]

HAS_TRITON = find_spec("triton") is not None
# The place of a winner in its list is one byte in our Triton kernel, and this one says that there is none.
NO_SLOT = 255
# On the CPU torch_scatter has the faster softmax up to this width: benchmarks/results/reductions-cpu.json.
NARROW = 4


def choose_reduction(
    kind: Kind, channels: int, max_degree: int | None = None, device: torch.device | str = "cpu"
) -> Reduction:
    """Return the backend that ``"auto"`` takes.

    Our Triton kernels on CUDA, but for extrema of lists too long for them; on the CPU torch_scatter, where it is
    installed, for a softmax of few channels. Nothing else did it win on the CPU, at any type, width or degree, and on
    CUDA it was not measured; so torch itself takes the rest.
    """
    device_type = torch.device(device).type
    if device_type == "cpu" and kind == "softmax" and channels <= NARROW and WITH_TORCH_SCATTER:
        return "torch_scatter"
    return "triton" if device_type == "cuda" and HAS_TRITON and not _is_too_long(kind, max_degree) else "native"


def _is_too_long(kind: Kind, max_degree: int | None) -> bool:
    return kind != "sum" and max_degree is not None and max_degree >= NO_SLOT


def chosen(backend: Reduction, kind: Kind, x: Tensor, max_degree: int | None = None) -> Reduction:
    """Return the backend that reduces rows of ``x [_, C]``: what is asked for, or what ``"auto"`` takes.

    Raises:
        ValueError: there is no such backend, or it cannot reduce these.
    """
    if backend not in REDUCTIONS:
        raise ValueError(f"backend must be one of {', '.join(REDUCTIONS)}, got {backend!r}")
    if backend == "auto":
        return choose_reduction(kind, x.size(1), max_degree, x.device)
    if backend == "triton" and not (x.is_cuda and HAS_TRITON):
        raise ValueError(f"backend='triton' needs triton and features on a CUDA device, got {x.device}: use 'native'")
    if backend == "triton" and _is_too_long(kind, max_degree):
        raise ValueError(
            f"backend='triton' finds extrema of fewer than {NO_SLOT} neighbors, got {max_degree}: use 'native'"
        )
    return backend
