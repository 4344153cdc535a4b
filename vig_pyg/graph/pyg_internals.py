"""All that the library uses of PyTorch Geometric beyond its documented interface.

Seen to work with the versions of ``SEEN``; with another, ``tests/graph/test_pyg_internals.py`` asks for a look.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.edge_index import SortReturnType
from torch_geometric.index import index2ptr
from torch_geometric.nn import MessagePassing

from vig_pyg.kernels.torch_internals import version_of

SEEN = ">=2.8,<2.9"

# The first axis, for ``Data.__cat_dim__``: values are joined along it, and because it is no ``int``, PyG never takes
# them for a value per node or per edge, should there be as many.
OWN_LENGTH = np.int64(0)

aten = torch.ops.aten
COPIES = (aten.clone.default, aten._to_copy.default, aten.alias.default, aten._pin_memory.default)


class NeighborIndex(EdgeIndex):
    """An ``EdgeIndex`` that may know its largest degree, ``max_degree``, and that every function of PyG takes.

    Unlike PyG's own, its rows are plain tensors, because ``coalesce``, ``is_undirected`` and others fail on PyG's
    ``Index``; and its pointers keep to their order where edges are flipped or sorted anew, where PyG mixes them up.
    What is made of it by cloning, moving, indexing, joining or flipping is of this class too. Whether it was changed
    in place is seen as autograd sees it, so not where numpy or ``.data`` did it.
    """

    max_degree: int
    """No target has more neighbors. Absent where that is not known."""

    @classmethod
    def __torch_dispatch__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Do as PyG does, with the differences above."""
        first = args[0]
        if func not in COPIES and isinstance(first, cls) and first.is_inference():
            first._forget()  # changes are not counted there, and this may lead to one
        if func in (aten.select.int, aten.unbind.int):
            return func(first._data, *args[1:], **(kwargs or {}))
        out = super().__torch_dispatch__(func, types, args, kwargs)
        if not isinstance(out, EdgeIndex) or out is first:
            return out
        out.__class__ = cls
        if isinstance(first, cls) and not is_as_made(first) and was_changed(first):
            size = out._sparse_size
            out._clear_metadata()._sparse_size = size
        elif func is aten.flip.default and out.is_sorted:
            out._indptr, out._T_indptr = first._indptr, first._T_indptr
        elif func in COPIES and out.dtype == first.dtype and is_as_made(first):
            out.max_degree = first.max_degree
        return out

    def _forget(self) -> None:
        if hasattr(self, "max_degree"):
            del self.max_degree

    def sparse_resize_(self, num_rows: int | None, num_cols: int | None) -> EdgeIndex:
        """Set the size, which edges may then not fit."""
        self._forget()
        return super().sparse_resize_(num_rows, num_cols)

    def sort_by(self, sort_order: Any, stable: bool = False) -> SortReturnType:
        """Return the edges sorted by ``"row"`` or ``"col"``, and their places before."""
        known = self.__copy__() if was_changed(self) else self
        out, places = EdgeIndex.sort_by(known, sort_order, stable)
        if out is not known:
            out._indptr, out._T_indptr = known._T_indptr, known._indptr
        return SortReturnType(out, places)

    def __copy__(self) -> EdgeIndex:
        """Return the same edges, whose changes count for both."""
        return aten.alias.default(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> EdgeIndex:
        """Return a clone, which starts to count changes anew."""
        return memo.setdefault(id(self), self.clone())

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Return what goes into a file, without what was true before a change in place."""
        known = self.__copy__() if was_changed(self) else self
        return EdgeIndex.__reduce_ex__(known, protocol)

    def __repr__(self) -> str:
        """Return it in words, without values where a compiler's has none: to print PyG's there fails."""
        return super().__repr__() if type(self._data) is Tensor else f"{type(self).__name__}({list(self.shape)})"

    def __tensor_flatten__(self) -> tuple[list[str], tuple[Any, ...]]:
        """Return what compiled code takes apart."""
        if not _holds(self):  # it cannot ask itself
            self._forget()
        names, context = super().__tensor_flatten__()
        return names, (*context, getattr(self, "max_degree", None))

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Any], context: tuple[Any, ...], size: Any, stride: Any) -> EdgeIndex:
        """Return what compiled code took apart."""
        *known, max_degree = context
        out = EdgeIndex.__tensor_unflatten__(inner, tuple(known), size, stride)
        out.__class__ = NeighborIndex
        if max_degree is not None:
            out.max_degree = max_degree
        return out


torch.serialization.add_safe_globals([NeighborIndex])


def sorted_edge_index(edges: Tensor, sizes: tuple[int, int], ptr: Tensor, max_degree: int) -> NeighborIndex:
    """Return edges that are sorted by target, with what is known of them, so that nothing is computed again.

    Args:
        edges: ``[2, E]``, source first, the targets rising.
        sizes: How many sources and targets there are.
        ptr: Where each target's edges start, ``[N + 1]``.
        max_degree: No target has more neighbors; remembered under this name.
    """
    index = NeighborIndex(edges, sparse_size=sizes, sort_order="col")
    index._indptr = ptr
    index.max_degree = max_degree
    return index


def pointers_of(targets: Tensor, num_targets: int) -> Tensor:
    """Return where the edges of each target start, ``[N + 1]``, of the targets ``[E]`` of edges, which rise."""
    return index2ptr(targets, num_targets)


def changes_of(edges: Tensor) -> tuple[int, int] | None:
    """Return how often an edge list or ``EdgeIndex`` was changed in place, and what it wraps; None if not counted."""
    data = edges.as_tensor() if isinstance(edges, EdgeIndex) else edges
    if edges.is_inference() or data.is_inference():
        return None
    return version_of(edges), version_of(data)


def was_changed(edges: EdgeIndex) -> bool:
    """Return whether what edges know of themselves may be out of date, True also where changes are not counted."""
    if torch.compiler.is_compiling():
        return False
    changes = changes_of(edges)
    return changes is None or changes[0] > 0


def is_as_made(edges: Any) -> bool:
    """Return whether edges came from :func:`sorted_edge_index` and nothing was changed since."""
    return hasattr(edges, "max_degree") and (torch.compiler.is_compiling() or _holds(edges))


def _holds(edges: EdgeIndex) -> bool:
    return hasattr(edges, "max_degree") and changes_of(edges) in (None, (0, 0))


def messages_are_watched(conv: MessagePassing) -> bool:
    """Return whether hooks look at single messages of an operator, or at what is aggregated of them."""
    return bool(
        conv._message_forward_pre_hooks
        or conv._message_forward_hooks
        or conv._aggregate_forward_pre_hooks
        or conv._aggregate_forward_hooks
    )
