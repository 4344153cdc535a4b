"""Which library reduces neighborhoods."""

from importlib.util import find_spec
from typing import Literal, get_args

import torch
from torch import Tensor

Reduction = Literal["auto", "native", "triton", "torch_scatter"]
REDUCTIONS = get_args(Reduction)

HAS_TRITON = find_spec("triton") is not None
# The place of a winner in its list is one byte in our Triton kernel, and this one says that there is none.
NO_SLOT = 255


def choose_reduction(device: torch.device | str, max_degree: int = 0) -> Reduction:
    """Return the backend that ``"auto"`` takes, for extrema of at most ``max_degree`` neighbors, or for sums.

    Our Triton kernels on CUDA, torch itself elsewhere and for longer lists. On the CPU torch_scatter was not the
    fastest at any type, width or degree measured (``benchmarks/results/reductions-cpu.json``); on CUDA nothing was
    measured, so it is for who asks for it.
    """
    kernels = torch.device(device).type == "cuda" and HAS_TRITON and max_degree < NO_SLOT
    return "triton" if kernels else "native"


def chosen(backend: Reduction, x: Tensor, max_degree: int = 0) -> Reduction:
    """Return the backend that reduces rows of ``x``: what is asked for, or what ``"auto"`` takes.

    Raises:
        ValueError: there is no such backend, or it cannot reduce these.
    """
    if backend not in REDUCTIONS:
        raise ValueError(f"backend must be one of {', '.join(REDUCTIONS)}, got {backend!r}")
    if backend == "auto":
        return choose_reduction(x.device, max_degree)
    if backend == "triton" and not (x.is_cuda and HAS_TRITON):
        raise ValueError(f"backend='triton' needs triton and features on a CUDA device, got {x.device}: use 'native'")
    if backend == "triton" and max_degree >= NO_SLOT:
        raise ValueError(
            f"backend='triton' finds extrema of fewer than {NO_SLOT} neighbors, got {max_degree}: use 'native'"
        )
    return backend
