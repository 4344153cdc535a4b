"""The least a model can take here: its own heavy library calls, replayed without anything between them."""

from collections.abc import Callable

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# What the calls of a model are sorted into, by a part of their name; the first that fits.
KINDS = {
    "selection of neighbors": ("best_columns", "topk"),
    "neighbor reductions": ("neighbor_",),
    "products and convolutions": ("mm", "convolution", "linear", "attention"),
    "norms and activations": ("norm", "gelu", "softmax"),
}


class Recorder(TorchDispatchMode):
    """Keeps every library call of what runs within, by kind, with its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[Callable[[], object]]] = {kind: [] for kind in KINDS}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        """Run a call and keep it."""
        kwargs = kwargs or {}
        for kind, parts in KINDS.items():
            if any(part in func.name() for part in parts):
                self.calls[kind].append(lambda: func(*args, **kwargs))
                break
        return func(*args, **kwargs)


def heavy_calls(step: Callable[[], object]) -> dict[str, Callable[[], object]]:
    """Return what replays the calls that ``step`` makes, without gradients: for every kind, and for all together."""
    with Recorder() as recorder:
        step()
    kinds = {kind: calls for kind, calls in recorder.calls.items() if calls}
    kinds["all heavy calls"] = [call for calls in kinds.values() for call in calls]
    return {kind: torch.no_grad()(lambda calls=calls: [call() for call in calls]) for kind, calls in kinds.items()}
