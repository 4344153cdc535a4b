"""All that the library uses of PyTorch Geometric beyond its documented interface.

Seen to work with the versions of ``SEEN``; with another, ``tests/graph/test_pyg_internals.py`` asks for a look.
"""

import numpy as np
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.nn import MessagePassing

SEEN = ">=2.8,<2.9"

# The first axis, for ``Data.__cat_dim__``: values are joined along it, and because it is no ``int``, PyG never takes
# them for a value per node or per edge, should there be as many.
OWN_LENGTH = np.int64(0)


def sorted_edge_index(edges: Tensor, sizes: tuple[int, int], ptr: Tensor, max_degree: int) -> EdgeIndex:
    """Return edges that are sorted by target, with what is known of them, so that nothing is computed again.

    Args:
        edges: ``[2, E]``, source first, the targets rising.
        sizes: How many sources and targets there are.
        ptr: Where each target's edges start, ``[N + 1]``.
        max_degree: No target has more neighbors; remembered under this name.
    """
    index = EdgeIndex(edges, sparse_size=sizes, sort_order="col")
    index._indptr = ptr
    index.max_degree = max_degree
    return index


def messages_are_watched(conv: MessagePassing) -> bool:
    """Return whether hooks look at single messages of an operator, or at what is aggregated of them."""
    return bool(
        conv._message_forward_pre_hooks
        or conv._message_forward_hooks
        or conv._aggregate_forward_pre_hooks
        or conv._aggregate_forward_hooks
    )
