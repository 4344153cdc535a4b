"""Gradient checkpointing of layers that keep running statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def checkpointed(layer: nn.Module, *inputs: Any) -> Any:
    """Return what a layer returns, keeping its inputs only and computing what is inside again in the backward pass.

    As :func:`torch.utils.checkpoint.checkpoint`, but what a layer remembers (statistics of batch norms, say) is moved
    by the first pass alone.
    """
    if torch.compiler.is_compiling():  # takes no contexts, and writes a buffer once however often it computes it
        return checkpoint(layer, *inputs, use_reentrant=False)
    return checkpoint(layer, *inputs, use_reentrant=False, context_fn=lambda: (nullcontext(), _keeping_buffers(layer)))


@contextmanager
def _keeping_buffers(layer: nn.Module) -> Iterator[None]:
    saved = layer.state_dict()  # tables that no file holds are fixed
    before = [(buffer, buffer.clone()) for name, buffer in layer.named_buffers() if name in saved]
    try:
        yield
    finally:
        for buffer, value in before:
            buffer.data.copy_(value)  # through .data, as the graph that waits for its backward pass need not notice
