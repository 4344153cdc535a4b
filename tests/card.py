"""A card that is not there: tensors that say that they are on CUDA, and compute on the CPU.

torch's fake tensors have no values, so what asks for one (how many edges does a graph of a threshold have?) ends there.
These have values, and are as strict about devices: an operation on tensors here and there is refused.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

CUDA = torch.device("cuda", 0)
MOVES = ("aten::_to_copy", "aten::copy_")
TAKES_PLACES_OF_THE_CPU = ("aten::index.Tensor", "aten::index_put_", "aten::_index_put_impl_")
WAITS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::masked_select", "aten::bincount")


class OnCard(Tensor):
    """A tensor that says that it is on a card; its values are in ``here``."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> "OnCard":
        layout = {"strides": here.stride(), "storage_offset": here.storage_offset()}
        self = Tensor._make_wrapper_subclass(cls, here.size(), dtype=here.dtype, device=CUDA, **layout)
        self.here = here
        return self

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError(f"{func} without the card")


class Card(TorchDispatchMode):
    """Within it there is a card.

    ``calls`` names the operations that ran on it, ``waits``, in turn, those for which the CPU waited for it, and
    ``sent`` is how many tensors came from the CPU, which waits until each is there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: set[str] = set()
        self.waits: list[str] = []
        self.sent = 0

    def __enter__(self) -> "Card":
        self.before = torch._C._only_lift_cpu_tensors(), torch.cuda._lazy_init
        torch._C._set_only_lift_cpu_tensors(True)
        torch._C._ensureCUDADeviceGuardSet()
        torch.cuda._lazy_init = lambda: None
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        only_lift, torch.cuda._lazy_init = self.before
        torch._C._set_only_lift_cpu_tensors(only_lift)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name, kwargs = func.name(), kwargs or {}
        given = [each for each in tree_iter((args, kwargs)) if isinstance(each, Tensor)]
        moved = [each for each in given if isinstance(each, OnCard)]
        if len({each.device.type for each in given if each.dim()}) > 1 and name not in MOVES + TAKES_PLACES_OF_THE_CPU:
            raise RuntimeError(f"{name} on two devices: {[(each.device.type, [*each.shape]) for each in given]}")
        if name.startswith("vig_pyg::") and moved:
            with self:  # what the operation does on a card, not on the CPU
                return torch._library.custom_ops.OPDEFS[name]._init_fn(*args, **kwargs)
        asked = kwargs.get("device")
        stays = bool(moved) if asked is None else torch.device(asked).type == "cuda"
        if moved and (_waits(name, args, kwargs) or (name in MOVES and not stays)):
            self.waits.append(name)
        self.sent += name in MOVES and stays and len(moved) < len(given) and not moved[1:]
        if moved:
            self.calls.add(f"{name} of floats" if moved[0].is_floating_point() else name)
        if asked is not None:
            kwargs = kwargs | {"device": torch.device("cpu")}
        out = func(*tree_map(_values, args), **tree_map(_values, kwargs))
        if not stays:
            return out
        known = {id(each.here): each for each in moved}  # what is changed in place stays the tensor that it is
        return tree_map(lambda x: known.get(id(x), OnCard(x)) if isinstance(x, Tensor) else x, out)

    def take(self, model: nn.Module) -> nn.Module:
        """Move a model to the card."""
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            return model.to(CUDA)
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(False)


def _waits(name: str, args: tuple, kwargs: dict) -> bool:
    """Return whether the CPU has to know how large a result is, or a value."""
    if name in ("aten::index.Tensor", "aten::index_put_"):  # counts what a mask lets through
        return any(each is not None and each.dtype == torch.bool for each in args[1])
    if name == "aten::repeat_interleave.Tensor":
        return kwargs.get("output_size") is None
    return name in WAITS


def _values(x: object) -> object:
    return x.here if isinstance(x, OnCard) else x


def gradients(loss: Tensor) -> dict[int, Tensor]:
    """Return the gradient of every leaf, by its id. Autograd itself would look for the streams of a card."""
    given: dict[Any, dict[int, Tensor]] = {loss.grad_fn: {0: torch.ones_like(loss)}}
    found: dict[int, Tensor] = {}
    for node in reversed(_in_order(loss.grad_fn)):
        if hasattr(node, "variable"):
            found[id(node.variable)] = given[node][0]
            continue
        grads = [given[node].get(place) for place in range(len(node._input_metadata))] if node in given else [None]
        if all(grad is None for grad in grads):
            continue
        for (next_node, place), grad in _passed_on(node, grads):
            if grad is not None:
                grad = grad.sum_to_size(next_node._input_metadata[place].shape)
                known = given.setdefault(next_node, {})
                known[place] = known[place] + grad if place in known else grad
    return found


def _passed_on(node: Any, grads: list[Tensor | None]) -> list[tuple[tuple[Any, int], Tensor | None]]:
    """Return what a node of a graph of autograd gives each node that wants something of it."""
    if hasattr(node, "apply"):  # written in Python; answers for what is no tensor, too
        made = node.apply(*grads)
        made = [grad for grad, wanted in zip(made, node.needs_input_grad, strict=True) if wanted]
        return list(zip([each for each in node.next_functions if each[0] is not None], made, strict=True))
    made = node(*grads)
    pairs = zip(node.next_functions, made if isinstance(made, tuple) else (made,), strict=True)
    return [(following, grad) for following, grad in pairs if following[0] is not None]


def _in_order(root: Any) -> list[Any]:
    """Return the nodes of a graph of autograd, each after all that it passes gradients on to."""
    order, seen, stack = [], {root}, [(root, iter(root.next_functions))]
    while stack:
        node, rest = stack[-1]
        following = next((each for each, _ in rest if each is not None and each not in seen), None)
        if following is None:
            order.append(node)
            stack.pop()
        else:
            seen.add(following)
            stack.append((following, iter(following.next_functions)))
    return order
